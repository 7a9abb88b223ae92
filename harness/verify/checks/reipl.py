"""Whether the original system was loaded again after its dump, if that was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding

CHECK, UNIT = "reipl", "loads"
# the line of images/crash/init with the counter on its disk
BOOT_COUNT = re.compile(r"^zharness: boot (\d+) from its own disk$")


def check(evidence: Evidence) -> CheckResult:
    """The dump system must ask for a load if, and only if, one was expected; it must succeed.

    A counter on the disk shows that it is the same disk: every boot from it adds one.
    """
    asked = evidence.outcome.get("reipl_block") is not None
    if not asked and not evidence.expect.reipl:
        return CheckResult.skipped(CHECK, UNIT, "no re-IPL was expected, and none was asked for")
    findings = tuple(Finding(CHECK, message) for message in _messages(evidence, asked))
    return CheckResult(CHECK, 1, UNIT, findings)


def _messages(evidence: Evidence, asked: bool) -> Iterator[str]:
    if not asked:
        yield "the dump system did not ask for a re-IPL of the original system"
        return
    if not evidence.expect.reipl:
        yield "the dump system asked for a re-IPL, which nobody expected"
        return
    reipl = evidence.reipl
    if reipl is None or not reipl.outcome.get("loaded"):
        named = None if reipl is None else reipl.outcome.get("named")
        yield f"the dump system asked for a load of {named}, which is not the original system"
        return
    before, after = _boot_count(evidence.crash_console), _boot_count(reipl.console)
    if before is None or after != before + 1:
        yield f"the counter on the original system's disk went from {before} to {after}"


def _boot_count(console: Sequence[str]) -> int | None:
    counts = [int(found[1]) for line in console if (found := BOOT_COUNT.match(line.strip()))]
    return counts[-1] if counts else None
