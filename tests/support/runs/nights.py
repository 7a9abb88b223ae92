"""Nights without machines: reports that were made up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Result, Verdict
from harness.results.nights import Attempt, Night, Outcome
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

RED = CheckResult(
    "console", 1, "lines", (Finding("console", FindingKind.TOOL_FAILED, "line 7: it failed"),)
)
GREEN = CheckResult("pages", 65536, "pages")


def run(name: str, result: str = "PASS", seconds: float = 10.0, **changed: Any) -> ReportedRun:
    """A run with this result, and a verdict that fits."""
    checks = (GREEN, RED) if result == "FAIL" else (GREEN,)
    verdict = Verdict(
        Result(result),
        Path("evidence", name),
        error="no room on /tmp/x-7" if result == "ERROR" else None,
        cause="HostError" if result == "ERROR" else None,
        checks=() if result == "ERROR" else checks,
        timings={"dump": seconds / 2, "boot": seconds / 2},
        inputs=changed.pop("inputs", {"QEMU": "7.2", "dump kernel": {"sha256": "ab"}}),
    )
    given = {"directory": Path("evidence", name), "replay": f"zharness replay {name}"}
    return ReportedRun(
        name, Path(f"{name}.toml"), **{**given, **changed}, seconds=seconds, verdict=verdict
    )


def report(*runs: ReportedRun) -> Report:
    return Report(runs, 1.0)


def attempt(
    result: str = "PASS", seconds: float = 10.0, signature: str | None = None, **inputs: str
) -> Attempt:
    if result != "PASS" and signature is None:
        signature = f"1:{result}"
    return Attempt(result, seconds, "what happened", signature, None, "zharness replay x", inputs)


def night(number: int, **outcomes: Attempt | tuple[Attempt, ...]) -> Night:
    """One night; each outcome is one attempt, or several."""
    made = {
        name: Outcome(name, each if isinstance(each, tuple) else (each,))
        for name, each in outcomes.items()
    }
    when = datetime(2026, 11, 1 + number % 28)
    return Night("night", number, when, when, "ended", "host", f"nights/{number}", made)
