"""The table in docs/mutations.md, which is between two comments."""

from __future__ import annotations

from pathlib import Path

from tests.mutations.table import rendered

DOCUMENT = Path(__file__).parents[2] / "docs/mutations.md"
BEGIN = "<!-- what follows is written by: python -m tests.mutations -->\n"
END = "<!-- end -->\n"


def current() -> str:
    """The document with the current table."""
    before, begin, rest = DOCUMENT.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT} has no place for the table")
    return f"{before}{begin}\n{rendered()}\n{end}{after}"


def write() -> None:
    DOCUMENT.write_text(current())
