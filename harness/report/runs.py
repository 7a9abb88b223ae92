"""The results of several runs, in the order of the request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

from harness.errors import ExitCode, UsageError
from harness.report.verdict import Result, Verdict

REFUSED, SKIPPED = ExitCode.USAGE.name, "SKIPPED"  # no verdicts: nothing was run

_WITH_ANSWER = (Result.PASS, Result.FAIL, Result.ERROR)
_WORST_FIRST = (Result.INTERRUPTED, Result.ERROR, REFUSED, Result.FAIL, Result.PASS)


@dataclass(frozen=True)
class ReportedRun:
    """One scenario; ``verdict`` is None if it has none: then it was either ``refused``, because it
    is not valid, or ``skipped``, which has the reason.

    ``file`` is the scenario's, ``directory`` its evidence, None if there is none, ``replay`` the
    command that runs it again, ``seconds`` how long it took. ``kept``: the run is from the earlier
    batch that this one continues.
    """

    name: str
    file: Path
    directory: Path | None
    replay: str
    seconds: float = 0.0
    verdict: Verdict | None = None
    refused: UsageError | None = None
    skipped: str | None = None
    kept: bool = False

    @property
    def result(self) -> str:
        """A verdict's result, ``USAGE`` or ``SKIPPED``."""
        if self.verdict is not None:
            return str(self.verdict.result)
        return REFUSED if self.refused else SKIPPED

    @property
    def is_bad(self) -> bool:
        """FAIL, ERROR, or refused."""
        return self.result not in (Result.PASS, Result.INTERRUPTED, SKIPPED)

    @property
    def error(self) -> str | None:
        """What went wrong, or why it was not run; for a wrong dump see the findings."""
        if self.verdict is not None:
            return self.verdict.error
        return self.refused.message if self.refused else self.skipped

    @property
    def hint(self) -> str | None:
        """What to do about it."""
        if self.verdict is not None:
            return self.verdict.hint
        return self.refused.hint if self.refused else None

    @property
    def headline(self) -> str:
        """The first line of what is wrong, or why it was skipped; "" if all is well."""
        what = self.error
        if self.verdict is not None and self.is_bad:
            what = what or next((each.message for each in self.verdict.findings), None)
        return next(iter((what or "").splitlines()), "")

    def to_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "name": self.name,
            "file": str(self.file),
            "verdict": self.result,
            "phase": verdict.phase if verdict else None,
            "error": self.error,
            "seconds": round(self.seconds, 3),
            "directory": None if self.directory is None else str(self.directory),
            "replay": self.replay,
            "kept": self.kept,
        }


@dataclass(frozen=True)
class Report:
    """All runs of one request; ``seconds`` of wall time; the signal that ``interrupted`` it."""

    runs: tuple[ReportedRun, ...]
    seconds: float
    interrupted: Signals | None = None

    @property
    def worst(self) -> str:
        """The worst result: INTERRUPTED, then ERROR, USAGE, FAIL, PASS; ERROR without runs."""
        found = {run.result for run in self.runs}
        return next((str(result) for result in _WORST_FIRST if result in found), str(Result.ERROR))

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the worst result."""
        return ExitCode[self.worst]

    @property
    def runs_per_minute(self) -> float:
        done = sum(run.result in _WITH_ANSWER and not run.kept for run in self.runs)
        return round(60 * done / self.seconds, 2) if self.seconds else 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Runs per result; results that did not occur count 0."""
        return count(run.result for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """What ``zharness run --json`` prints for several scenarios."""
        return {
            "verdict": self.worst,
            "runs": [run.to_json() for run in self.runs],
            "seconds": round(self.seconds, 3),
            "runs_per_minute": self.runs_per_minute,
        }


def count(results: Iterable[str]) -> dict[str, int]:
    """Runs per result; every result is included."""
    counted = dict.fromkeys((*map(str, Result), REFUSED, SKIPPED), 0)
    for result in results:
        counted[result] += 1
    return counted
