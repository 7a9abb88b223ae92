"""Write the page: the last night, what changed, a grid of all nights, flaky scenarios, the trend.

It has no script and no external resource. Everything in it that others have written is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from harness import __version__
from harness.errors import HostError
from harness.files.atomic import replace_text
from harness.printable import printable
from harness.results.nights import Night, Outcome, changes
from harness.results.page.matrix import Matrix, matrices
from harness.results.statistics import Point, flakes, trend

TEMPLATE = "report.html.jinja"
_LETTERS = {"PASS": "P", "FAIL": "F", "ERROR": "E", "USAGE": "U"}
_WIDTH, _HEIGHT, _EDGE = 720, 160, 30  # of the plot
_LEAST_SPAN = 0.1  # of the ratio: less than that is noise


@dataclass(frozen=True)
class Cell:
    """One scenario in one night: a ``letter`` in a colour that ``style`` names, and its words."""

    letter: str
    style: str
    words: str


@dataclass(frozen=True)
class Plot:
    """A line of points in an SVG of ``width`` and ``height``, with its scale."""

    width: int
    height: int
    points: str
    dots: tuple[tuple[float, float, str], ...]
    usual: float
    low: str
    high: str


def write(path: Path, history: Sequence[Night], known: Mapping[str, str]) -> None:
    """Write the report of ``history`` (oldest night first) to ``path``; raises HostError."""
    try:
        replace_text(path, page(history, known))
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error


def page(history: Sequence[Night], known: Mapping[str, str]) -> str:
    """The page, as text."""
    environment = Environment(
        loader=PackageLoader("harness.results.page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = printable
    points = trend(history)
    return environment.get_template(TEMPLATE).render(
        version=__version__,
        now=history[-1],
        history=history,
        changes=changes(history, known),
        grid=_grid(history),
        matrices=[
            {"matrix": matrix, "rows": _rows(matrix, history[-1])}
            for matrix in matrices(history[-1].outcomes)
        ],
        flakes=flakes(history),
        points=points,
        plot=plot(points),
    )


def _grid(history: Sequence[Night]) -> list[dict[str, Any]]:
    """A row for each scenario, those that fail now first."""
    names = sorted({name for night in history for name in night.outcomes})
    last = history[-1].outcomes

    def order(name: str) -> tuple[bool, str]:
        return name not in last or last[name].passed, name

    return [
        {"name": name, "cells": [_cell(night, night.outcomes.get(name)) for night in history]}
        for name in sorted(names, key=order)
    ]


def _rows(matrix: Matrix, night: Night) -> list[tuple[str, list[Cell]]]:
    """Each value of the field that goes down, with its cells."""
    return [
        (
            row,
            [
                _cell(night, night.outcomes.get(matrix.cells.get((row, column), "")))
                for column in matrix.columns
            ],
        )
        for row in matrix.rows
    ]


def _cell(night: Night, outcome: Outcome | None) -> Cell:
    when = f"night {night.number}"
    if outcome is None:
        return Cell("·", "none", f"{when}: not run")
    if outcome.passed:
        return Cell("P", "pass", f"{when}: PASS in {outcome.first.seconds:.0f} s")
    again = ", passed when run again" if outcome.is_flaky else ""
    letter = "~" if outcome.is_flaky else _LETTERS.get(outcome.result, "?")
    style = "flaky" if outcome.is_flaky else "fail" if outcome.result == "FAIL" else "error"
    return Cell(letter, style, f"{when}: {outcome.result}{again}: {outcome.bad.headline}")


def plot(points: Sequence[Point]) -> Plot | None:
    """The trend as a line; None if fewer than two nights have a ratio."""
    told = [(number, point) for number, point in enumerate(points) if point.ratio is not None]
    ratios = [point.ratio for _, point in told if point.ratio is not None]
    if len(ratios) < 2:
        return None
    low, high = min(*ratios, 1.0), max(*ratios, 1.0)
    if high - low < _LEAST_SPAN:
        middle = (high + low) / 2
        low, high = middle - _LEAST_SPAN / 2, middle + _LEAST_SPAN / 2

    def across(number: int) -> float:
        return _EDGE + number * (_WIDTH - 2 * _EDGE) / max(1, len(points) - 1)

    def up(ratio: float) -> float:
        return _HEIGHT - _EDGE - (ratio - low) * (_HEIGHT - 2 * _EDGE) / (high - low)

    dots = tuple(
        (round(across(number), 1), round(up(ratio), 1), f"night {point.number}: {ratio:.3f}")
        for (number, point), ratio in zip(told, ratios, strict=True)
    )
    line = " ".join(f"{x},{y}" for x, y, _ in dots)
    return Plot(_WIDTH, _HEIGHT, line, dots, round(up(1.0), 1), f"{low:.2f}", f"{high:.2f}")
