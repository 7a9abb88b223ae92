"""What came of several runs, in the order of the request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report.verdict import Result, Verdict

SKIPPED = "SKIPPED"

_WORST_FIRST = (Result.ERROR, Result.FAIL, Result.PASS)


@dataclass(frozen=True)
class ReportedRun:
    """One scenario; ``verdict`` is None if it has none, and ``skipped`` then says why.

    ``file`` is the scenario's, ``replay`` the command that runs it again, ``seconds`` how long it
    took.
    """

    name: str
    file: Path
    directory: Path
    replay: str
    seconds: float = 0.0
    verdict: Verdict | None = None
    skipped: str | None = None

    @property
    def result(self) -> str:
        return SKIPPED if self.verdict is None else str(self.verdict.result)

    @property
    def is_bad(self) -> bool:
        """FAIL or ERROR."""
        return self.verdict is not None and self.verdict.result is not Result.PASS

    @property
    def headline(self) -> str:
        """The first line of what is wrong, or why it was skipped; "" if it is as it should be."""
        what: str | None = None
        if self.verdict is None:
            what = self.skipped
        elif self.is_bad:
            messages = (finding["message"] for finding in self.verdict.findings)
            what = self.verdict.error or next(messages, "")
        return next(iter((what or "").splitlines()), "")

    def to_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "name": self.name,
            "verdict": self.result,
            "phase": verdict.phase if verdict else None,
            "error": verdict.error if verdict else self.skipped,
            "seconds": round(self.seconds, 3),
            "directory": str(self.directory),
            "replay": self.replay,
        }


@dataclass(frozen=True)
class Report:
    """All runs of one request; ``seconds`` of wall time."""

    runs: tuple[ReportedRun, ...]
    seconds: float
    interrupted: bool = False

    @property
    def worst(self) -> Result:
        """ERROR if any run is one, or else FAIL if any is, or else PASS; of no run, ERROR."""
        found = {run.verdict.result for run in self.runs if run.verdict}
        return next((result for result in _WORST_FIRST if result in found), Result.ERROR)

    @property
    def runs_per_minute(self) -> float:
        done = sum(run.verdict is not None for run in self.runs)
        return round(60 * done / self.seconds, 2) if self.seconds else 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many of each result, those that nothing is included."""
        return count(run.result for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """What ``zharness run --json`` prints for several scenarios."""
        return {
            "verdict": str(self.worst),
            "runs": [run.to_json() for run in self.runs],
            "seconds": round(self.seconds, 3),
            "runs_per_minute": self.runs_per_minute,
        }


def count(results: Iterable[str]) -> dict[str, int]:
    """How many of each result, every result named."""
    counted = dict.fromkeys((*map(str, Result), SKIPPED), 0)
    for result in results:
        counted[result] += 1
    return counted
