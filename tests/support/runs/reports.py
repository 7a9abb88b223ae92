"""Results of runs for reports; nothing runs."""

from __future__ import annotations

from pathlib import Path
from signal import Signals
from typing import Any

from harness.errors import UsageError
from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Result, Verdict
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

DIRECTORY = Path("/runs/batch")


def finding(message: str) -> Finding:
    return Finding("pages", FindingKind.UNREADABLE, message)


def verdict(result: Result = Result.PASS, *messages: str, **fields: Any) -> Verdict:
    """A verdict with these findings."""
    check = CheckResult("pages", 1, "pages", tuple(map(finding, messages)))
    return Verdict(result, DIRECTORY, checks=(check,), **fields)


def run(name: str, of: Verdict | None = None, **fields: Any) -> ReportedRun:
    given: dict[str, Any] = {
        "file": Path(f"scenarios/{name}.toml"),
        "directory": DIRECTORY / name,
        "replay": f"zharness replay {DIRECTORY / name}",
        "seconds": 2.5,
        "verdict": of,
        "skipped": None if of else "interrupted",
    }
    return ReportedRun(name, **(given | fields))


def passed(name: str) -> ReportedRun:
    return run(name, verdict())


def failed(name: str, *messages: str) -> ReportedRun:
    return run(name, verdict(Result.FAIL, *(messages or ("page differs",)), phase="verify"))


def broken(name: str, message: str = "no space left", hint: str | None = None) -> ReportedRun:
    return run(name, verdict(Result.ERROR, error=message, hint=hint, phase="snapshot"))


def refused(name: str, message: str, hint: str | None = None) -> ReportedRun:
    error = UsageError(message, hint=hint)
    return run(name, directory=None, replay="zharness run", refused=error, skipped=None)


def report(*runs: ReportedRun, seconds: float = 60.0, interrupted: Signals | None = None) -> Report:
    return Report(runs, seconds, interrupted)
