"""The grid of scenarios and nights, and the matrices of the last night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.results.nights import Night, Outcome
from harness.results.page.chosen import Links
from harness.results.page.matrix import Matrix, matrices

_LETTERS = {"PASS": "P", "FAIL": "F", "ERROR": "E", "USAGE": "U"}


@dataclass(frozen=True)
class Cell:
    """One scenario in one night: a ``letter`` in a colour that ``style`` names, and its words.

    ``name`` is what the link ``href`` to its run is called; None if there is no page of it.
    """

    letter: str
    style: str
    words: str
    name: str
    href: str | None = None

    @property
    def is_told(self) -> bool:
        """Whether its words say more than its letter."""
        return self.style not in ("pass", "none")


@dataclass(frozen=True)
class Row:
    """What a row is of, and its cells."""

    name: str
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    """A matrix as a table."""

    matrix: Matrix
    rows: list[Row]


def grid(history: Sequence[Night], links: Links) -> list[Row]:
    """A row for each scenario, those that fail now first."""
    names = sorted({name for night in history for name in night.outcomes})
    last = history[-1].outcomes

    def order(name: str) -> tuple[bool, str]:
        return name not in last or last[name].passed, name

    return [
        Row(name, [_cell(night, night.outcomes.get(name), links) for night in history])
        for name in sorted(names, key=order)
    ]


def tables(night: Night, links: Links) -> Iterator[Table]:
    """Each matrix of two fields in one night."""
    for matrix in matrices(night.outcomes):
        yield Table(matrix, [_row(matrix, row, night, links) for row in matrix.rows])


def _row(matrix: Matrix, row: str, night: Night, links: Links) -> Row:
    names = (matrix.cells.get((row, column), "") for column in matrix.columns)
    return Row(row, [_cell(night, night.outcomes.get(name), links) for name in names])


def _cell(night: Night, outcome: Outcome | None, links: Links) -> Cell:
    when = f"night {night.number}"
    if outcome is None:
        return Cell("·", "none", f"{when}: not run", when)
    href = links.to_bad(night, outcome)
    name = f"{when}: {outcome.result}"
    if outcome.passed:
        return Cell("P", "pass", f"{name} in {outcome.first.seconds:.0f} s", name, href)
    again = ", passed when run again" if outcome.is_flaky else ""
    letter = "~" if outcome.is_flaky else _LETTERS.get(outcome.result, "?")
    style = "flaky" if outcome.is_flaky else "fail" if outcome.result == "FAIL" else "error"
    return Cell(letter, style, f"{name}{again}: {outcome.bad.headline}", name + again, href)
