"""The trend of the nights' times as a line in an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.results.statistics import Point

_WIDTH, _HEIGHT, _EDGE = 720, 160, 30
_LEAST_SPAN = 0.1  # of the ratio: less than that is noise


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
