"""How often does ``zharness night trend`` cry wolf, and how soon does it see a step?

Nights are simulated: each scenario's time varies by ten per cent, and one in a hundred takes twice
as long. docs/nights.md has the result.

    python benchmarks/alarms.py --series 200
"""

from __future__ import annotations

import argparse
import random

from harness.results.nights import Attempt, Night, Outcome
from harness.results.record import now
from harness.results.statistics import noise, slower, trend

NIGHTS, STEP_AT = 30, 20
STEPS = (1.0, 1.03, 1.05, 1.10, 1.20)


def simulated(chance: random.Random, scenarios: int, step: float) -> list[Night]:
    usual = [chance.uniform(10, 60) for _ in range(scenarios)]

    def seconds(number: int, night: int) -> float:
        spike = 2.0 if chance.random() < 0.01 else 1.0
        slow = step if night >= STEP_AT else 1.0
        return usual[number] * chance.lognormvariate(0, 0.10) * spike * slow

    return [
        night_of(each, [seconds(number, each) for number in range(scenarios)])
        for each in range(1, NIGHTS + 1)
    ]


def night_of(number: int, seconds: list[float]) -> Night:
    outcomes = {
        f"s{at}": Outcome(f"s{at}", (Attempt("PASS", each, "", None, None, ""),))
        for at, each in enumerate(seconds)
    }
    return Night("x", number, now(), now(), "ended", "host", "x", outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=200)
    series = parser.parse_args().series
    chance = random.Random(1)  # noqa: S311 - it is to be the same each time
    print(
        "| scenarios | a step is told from | false alarms a night | seen after 2, 5 nights: ",
        end="",
    )
    print(", ".join(f"{step - 1:+.0%}" for step in STEPS[1:]), "|")
    print("|---|---|---|---|")
    for scenarios in (8, 30, 60, 160):
        told = {step: [alarms(chance, scenarios, step) for _ in range(series)] for step in STEPS}
        nights = series * (NIGHTS - 4)
        false = sum(len(each) for each in told[1.0]) / nights
        power = "; ".join(
            ", ".join(f"{share(told[step], within):.0%}" for within in (2, 5)) for step in STEPS[1:]
        )
        print(f"| {scenarios} | {noise(scenarios):+.0%} | {false:.4f} | {power} |")


def alarms(chance: random.Random, scenarios: int, step: float) -> list[int]:
    points = trend(simulated(chance, scenarios, step))
    return [points[end - 1].number for end in range(2, len(points) + 1) if slower(points[:end])]


def share(told: list[list[int]], within: int) -> float:
    seen = [any(STEP_AT < night <= STEP_AT + within - 1 for night in each) for each in told]
    return sum(seen) / len(told)


if __name__ == "__main__":
    main()
