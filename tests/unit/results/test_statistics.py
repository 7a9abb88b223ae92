"""No wolf is cried: flaky, slow, and how often that is said for nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.nights import Night
from harness.results.statistics import flakes, slower, trend, wilson
from tests.support.runs.nights import attempt, night


@pytest.mark.parametrize(
    ("passed", "runs", "low", "high"),
    [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (81, 263, 0.2553, 0.3662), (1, 1, 0.2065, 1.0)],
)
def test_intervals_are_those_of_the_literature(passed, runs, low, high):
    """81 of 263: R. G. Newcombe, "Two-sided confidence intervals for the single proportion"."""
    found = wilson(passed, runs)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(st.integers(1, 10**6).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_an_interval_holds_the_rate(numbers):
    found = wilson(*numbers)
    assert 0 <= found.low <= found.rate + 1e-12
    assert found.rate - 1e-12 <= found.high <= 1


def test_flaky_is_only_what_differs_with_equal_inputs():
    ok, bad = attempt(kernel="6.12"), attempt("FAIL", kernel="6.12")
    history = [
        night(1, flaky=ok, broken=attempt(kernel="6.12"), steady=ok, bad=bad),
        night(2, flaky=bad, broken=attempt("FAIL", kernel="6.13"), steady=ok, bad=bad),
        night(3, flaky=ok, broken=attempt("FAIL", kernel="6.13"), steady=ok, bad=bad),
    ]
    (found,) = flakes(history)
    assert (found.name, found.rate.passed, found.rate.runs) == ("flaky", 2, 3)
    assert found.signatures == ("1:FAIL",)


def test_a_repetition_in_the_same_night_shows_a_flake():
    (found,) = flakes([night(1, a=(attempt("ERROR"), attempt()))])
    assert found.rate.passed == 1


SCENARIOS, NIGHTS, NOISE = 160, 30, 0.10


def simulated(
    seed: int, slow: float = 1.0, from_night: int = 25, scenarios: int = SCENARIOS
) -> list[Night]:
    """Nights whose scenarios vary by ten per cent each, as was measured."""
    chance = random.Random(seed)
    usual = {f"s{number}": chance.uniform(10, 60) for number in range(scenarios)}
    return [
        night(
            number,
            **{
                name: attempt(
                    seconds=seconds
                    * chance.lognormvariate(0, NOISE)
                    * (slow if number >= from_night else 1.0)
                )
                for name, seconds in usual.items()
            },
        )
        for number in range(1, NIGHTS + 1)
    ]


def alarms(history: list[Night]) -> list[int]:
    points = trend(history)
    return [points[end - 1].number for end in range(2, len(points) + 1) if slower(points[:end])]


def test_noise_is_no_alarm_and_what_is_slower_is_found():
    assert [alarms(simulated(seed)) for seed in range(10)] == [[]] * 10
    assert sum(bool(alarms(simulated(seed, 1.05))) for seed in range(10)) >= 8
    for by in (1.08, 1.20):
        found = [alarms(simulated(seed, by)) for seed in range(10)]
        assert all(each and each[0] <= 27 for each in found), (by, found)


@pytest.mark.parametrize("scenarios", [8, 30])
def test_few_scenarios_raise_no_alarm_either(scenarios):
    assert [alarms(simulated(seed, scenarios=scenarios)) for seed in range(10)] == [[]] * 10
    assert all(alarms(simulated(seed, 1.3, scenarios=scenarios)) for seed in range(10))


def test_one_slow_night_is_no_alarm():
    history = simulated(1)
    history[20] = simulated(1, slow=1.5, from_night=1)[20]
    assert alarms(history) == []


def test_few_scenarios_have_no_trend():
    history = [night(number, a=attempt(), b=attempt()) for number in range(1, 9)]
    assert [point.ratio for point in trend(history)] == [None] * 8
