"""Statistics that do not cry wolf: pass rates with intervals, flaky scenarios, trends of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

from harness.results.nights import Night

_Z = 1.96  # of a normal distribution, for 95 %
BASELINE = 10  # nights before, whose median is a scenario's usual time
FEWEST_SCENARIOS = 8  # of which a trend is told
FEWEST_NIGHTS = 3
_OF_ONE, _LEAST = 0.10, 0.03  # noise: of one scenario's time, and what is always taken for it


@dataclass(frozen=True)
class Rate:
    """How often something passed: ``low`` and ``high`` are the 95 % interval of Wilson."""

    passed: int
    runs: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        return self.passed / self.runs


def wilson(passed: int, runs: int) -> Rate:
    """The rate of ``passed`` of ``runs``, which must be at least 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share, square = passed / runs, _Z * _Z
    middle = share + square / (2 * runs)
    half = _Z * sqrt(share * (1 - share) / runs + square / (4 * runs * runs))
    scale = 1 + square / runs
    return Rate(passed, runs, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


@dataclass(frozen=True)
class Flake:
    """A scenario that passed and failed with equal inputs; ``signatures`` are how it failed."""

    name: str
    rate: Rate
    signatures: tuple[str, ...]


def flakes(history: Sequence[Night]) -> list[Flake]:
    """The scenarios that are flaky, those that fail most often first.

    Only runs with equal inputs are held against each other: what changes when a kernel changes is
    not flaky. An ERROR counts, too.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[bool, str | None]]] = {}
    for each in history:
        for outcome in each.outcomes.values():
            for attempt in outcome.attempts:
                key = outcome.name, tuple(sorted(attempt.inputs.items()))
                groups.setdefault(key, []).append((attempt.passed, attempt.signature))
    found: dict[str, list[tuple[bool, str | None]]] = {}
    for (name, _), runs in groups.items():
        if len({passed for passed, _ in runs}) == 2:
            found.setdefault(name, []).extend(runs)
    flaky = [
        Flake(
            name,
            wilson(sum(passed for passed, _ in runs), len(runs)),
            tuple(dict.fromkeys(signature for _, signature in runs if signature)),
        )
        for name, runs in found.items()
    ]
    return sorted(flaky, key=lambda flake: (flake.rate.rate, flake.name))


@dataclass(frozen=True)
class Point:
    """One night's time, compared with the nights before: the median over all scenarios.

    1.05 means 5 % slower. ``scenarios`` is of how many; None if they are too few.
    """

    number: int
    ratio: float | None
    scenarios: int


def trend(history: Sequence[Night]) -> list[Point]:
    """Each night's median ratio of a scenario's seconds to its own usual time.

    A single scenario's time varies by ten per cent; the median over all of them by one.
    """
    times: dict[str, list[float]] = {}
    points = []
    for each in history:
        ratios = []
        for outcome in each.outcomes.values():
            if not outcome.first.passed or outcome.first.seconds <= 0:
                continue
            former = times.setdefault(outcome.name, [])
            if len(former) >= FEWEST_NIGHTS:
                ratios.append(outcome.first.seconds / median(former[-BASELINE:]))
            former.append(outcome.first.seconds)
        ratio = median(ratios) if len(ratios) >= FEWEST_SCENARIOS else None
        points.append(Point(each.number, ratio, len(ratios)))
    return points


def slower(points: Sequence[Point], *, nights: int = 2) -> bool:
    """Whether the last ``nights`` were all slower than noise explains: one is no alarm."""
    last = points[-nights:]
    return len(last) == nights and all(
        point.ratio is not None and point.ratio > 1 + noise(point.scenarios) for point in last
    )


def noise(scenarios: int) -> float:
    """By what share the median of so many scenarios' ratios may be off without a reason.

    Three standard deviations of it, and never less than ``_LEAST``. That of a single scenario was
    measured as ten per cent; that of a median of n is 1.25 of it by the root of n.
    """
    return max(_LEAST, 3 * 1.25 * _OF_ONE / sqrt(scenarios))
