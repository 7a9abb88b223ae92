"""Tables of many nights, for people."""

from __future__ import annotations

from collections.abc import Sequence

from harness.results.statistics import Flake, Point


def flake_rows(found: Sequence[Flake]) -> list[tuple[str, str, str, str]]:
    return [
        (
            flake.name,
            f"{flake.rate.passed} of {flake.rate.runs}",
            f"{flake.rate.low:.0%} to {flake.rate.high:.0%}",
            "; ".join(flake.signatures),
        )
        for flake in found
    ]


def trend_rows(points: Sequence[Point]) -> list[tuple[str, str, str]]:
    return [
        (
            str(point.number),
            "not enough scenarios" if point.ratio is None else f"{point.ratio:.3f}",
            str(point.scenarios),
        )
        for point in points
    ]
