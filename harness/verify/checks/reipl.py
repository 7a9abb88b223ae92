"""Whether the original system was loaded again after its dump, if that was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.verify.checks.condition import differences
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "reipl", "loads"
# the line of images/crash/init with the counter on its disk
BOOT_COUNT = re.compile(r"^zharness: boot (\d+) from its own disk$")


def check(evidence: Evidence) -> CheckResult:
    """The dump system must ask for a load if, and only if, one was expected; it must succeed.

    A counter on the disk shows that it is the same disk: every boot from it adds one. A full system
    tells more, see :mod:`harness.verify.checks.condition`.
    """
    asked = evidence.outcome.get("reipl_block") is not None
    if not asked and not evidence.expect.reipl:
        return CheckResult.skipped(CHECK, UNIT, "no re-IPL was expected, and none was asked for")
    findings = tuple(Finding(CHECK, kind, message) for kind, message in _faults(evidence, asked))
    return CheckResult(CHECK, 1, UNIT, findings)


def _faults(evidence: Evidence, asked: bool) -> Iterator[tuple[FindingKind, str]]:
    if not asked:
        message = "the dump system did not ask for a re-IPL of the original system"
        yield FindingKind.REIPL_NOT_ASKED, message
        return
    if not evidence.expect.reipl:
        message = "the dump system asked for a re-IPL, which nobody expected"
        yield FindingKind.REIPL_NOT_EXPECTED, message
        return
    reipl = evidence.reipl
    if reipl is None or not reipl.outcome.get("loaded"):
        named = None if reipl is None else reipl.outcome.get("named")
        message = f"the dump system asked for a load of {named}, which is not the original system"
        yield FindingKind.REIPL_OF_ANOTHER, message
        return
    if evidence.condition is not None or reipl.condition is not None:
        configured = evidence.trigger is not None and bool(evidence.trigger.files)
        for message in differences(evidence.condition, reipl.condition, configured=configured):
            yield FindingKind.REIPL_CONDITION, message
        return
    before, after = _boot_count(evidence.crash_console), _boot_count(reipl.console)
    if before is None or after != before + 1:
        message = f"the counter on the original system's disk went from {before} to {after}"
        yield FindingKind.REIPL_COUNTER, message


def _boot_count(console: Sequence[str]) -> int | None:
    counts = [int(found[1]) for line in console if (found := BOOT_COUNT.match(line.strip()))]
    return counts[-1] if counts else None
