"""Which runs have a page of their own, and in which file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.evidence.directory import directory_names
from harness.results.nights import Attempt, Night, Outcome

RUNS = "runs"  # the directory of the pages, beside the index
INDEX = "index.html"


@dataclass(frozen=True)
class ChosenRun:
    """The run of ``outcome``'s scenario in ``night`` that was its ``number``-th, from 1 on.

    ``file`` is the name of its page.
    """

    night: Night
    outcome: Outcome
    number: int
    file: str

    @property
    def attempt(self) -> Attempt:
        return self.outcome.attempts[self.number - 1]


@dataclass(frozen=True)
class Link:
    """From the index to the page of one run."""

    href: str
    words: str


class Links:
    """The pages of runs, by night and scenario."""

    def __init__(self, chosen: Sequence[ChosenRun] = ()) -> None:
        self._files = {_key(run.night, run.outcome, run.number): run.file for run in chosen}

    def of(self, night: Night, outcome: Outcome) -> list[Link]:
        """To each run of the scenario in that night that has a page, in order."""
        return [
            Link(f"{RUNS}/{file}", f"run {number} of night {night.number}: {attempt.result}")
            for number, attempt in enumerate(outcome.attempts, 1)
            if (file := self._files.get(_key(night, outcome, number)))
        ]

    def to_bad(self, night: Night, outcome: Outcome) -> str | None:
        """To the run that says most of what is wrong; None if it has no page."""
        number = 1 + outcome.attempts.index(outcome.bad)
        file = self._files.get(_key(night, outcome, number))
        return None if file is None else f"{RUNS}/{file}"


def choose_runs(history: Sequence[Night]) -> list[ChosenRun]:
    """Each run of the last night of ``history``, and each that did not pass of the others.

    The names of the files are NIGHT-ATTEMPT-NAME.html; a name of a scenario that is no file name
    is changed.
    """
    runs = list(_runs(history))
    wanted = [f"{night.number}-{number}-{outcome.name}" for night, outcome, number in runs]
    return [
        ChosenRun(night, outcome, number, f"{name}.html")
        for (night, outcome, number), name in zip(runs, directory_names(wanted), strict=True)
    ]


def by_scenario(chosen: Sequence[ChosenRun]) -> Mapping[tuple[int, str], list[ChosenRun]]:
    """The runs of one scenario in one night, by the night's number and the scenario's name."""
    found: dict[tuple[int, str], list[ChosenRun]] = {}
    for run in chosen:
        found.setdefault((run.night.number, run.outcome.name), []).append(run)
    return found


def _runs(history: Sequence[Night]) -> Iterator[tuple[Night, Outcome, int]]:
    last = history[-1]
    for night in reversed(history):
        for outcome in night.outcomes.values():
            for number, attempt in enumerate(outcome.attempts, 1):
                if night is last or not attempt.passed:
                    yield night, outcome, number


def _key(night: Night, outcome: Outcome, number: int) -> tuple[int, str, int]:
    return night.number, outcome.name, number
