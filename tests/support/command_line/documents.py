"""Read the tables of the documentation."""

from __future__ import annotations


def documented(document: str, heading: str) -> list[tuple[str, ...]]:
    """The rows of the table in ``document`` that begins with ``heading``."""
    rows = document.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip(" `") for cell in row.strip("| ").split(" | ")) for row in rows]
