"""What the scenario expects of a run, besides a right dump."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.errors import EvidenceError
from harness.evidence.names import CONSOLE, CRASH_DIRECTORY, DUMP_DIRECTORY, MACHINE, OUTCOME
from harness.verify.checks.crashed_kernel.vmcoreinfo import note_in_memory
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.patterns import time_to_match

CHECK, UNIT = "expectations", "expectations"


def check(evidence: Evidence) -> CheckResult:
    """Check the patterns of both consoles, the time limit, and that an early crash was one.

    Skipped if the scenario expects none of these.

    Raises EvidenceError if a time is missing that is needed for the limit.
    """
    expect = evidence.expect
    patterns = len(expect.crash_console) + len(expect.dump_console)
    compared = patterns + (expect.time_limit is not None) + expect.early
    if not compared:
        return CheckResult.skipped(CHECK, UNIT, "the scenario expects no more than a right dump")
    with time_to_match():
        findings = tuple(Finding(CHECK, kind, message) for kind, message in _faults(evidence))
    return CheckResult(CHECK, compared, UNIT, findings)


def _faults(evidence: Evidence) -> Iterator[tuple[FindingKind, str]]:
    expect = evidence.expect
    for directory, patterns, lines in (
        (CRASH_DIRECTORY, expect.crash_console, evidence.crash_console),
        (DUMP_DIRECTORY, expect.dump_console, evidence.console),
    ):
        text = "\n".join(lines)
        for pattern in patterns:
            if not re.search(pattern, text, re.MULTILINE):
                message = f"nothing in {directory}/{CONSOLE} matches '{pattern}'"
                yield FindingKind.CONSOLE_UNMATCHED, message
    if expect.early and note_in_memory(evidence.ram) is not None:
        message = "an early crash was expected, but the crashed kernel had set VMCOREINFO before it"
        yield FindingKind.NOT_EARLY, message
    if expect.time_limit is not None:
        yield from _too_slow(evidence, expect.time_limit)


def _too_slow(evidence: Evidence, limit: float) -> Iterator[tuple[FindingKind, str]]:
    seconds = _seconds(f"{DUMP_DIRECTORY}/{OUTCOME}", evidence.outcome.get("seconds"))
    baseline = _seconds(f"{CRASH_DIRECTORY}/{MACHINE}", evidence.boot_seconds)
    if seconds > limit * baseline:
        yield (
            FindingKind.TOO_SLOW,
            f"the dump took {seconds:.1f} s, {seconds / baseline:.1f} times the crashed system's "
            f"boot ({baseline:.1f} s): the limit is {limit:g} times",
        )


def _seconds(file: str, seconds: object) -> float:
    if isinstance(seconds, int | float) and seconds > 0:
        return float(seconds)
    raise EvidenceError(f"{file}: tells no time to hold against the time limit: {seconds!r}")
