"""Whether the dump that the loaded system collected itself equals the crashed machine, too."""

from __future__ import annotations

from dataclasses import replace

from harness.verify.checks import memory_map, pages, registers
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "own-dump", "ranges, pages and registers"


def check(evidence: Evidence) -> CheckResult:
    """The copy that the system's own zgetdump wrote is compared as the collected dump is."""
    if not evidence.expect.own_dump:
        reason = "the system was not to collect its dump itself"
        return CheckResult.skipped(CHECK, UNIT, reason)
    reipl = evidence.reipl
    if reipl is None or reipl.own is None:
        why = "there was no re-IPL" if reipl is None else reipl.own_fault
        return CheckResult.failed(CHECK, UNIT, FindingKind.NO_DUMP, f"{why}")
    own = replace(evidence, dump=reipl.own, dump_fault=None)
    form = None if evidence.dump is None else evidence.dump.format  # that zgetdump has read
    results = [memory_map.check(own), pages.check(own, form), registers.check(own)]
    told = reipl.own_dump
    return CheckResult(
        CHECK,
        sum(result.compared for result in results),
        UNIT,
        tuple(
            Finding(CHECK, finding.kind, f"{finding.check}: {finding.message}", finding.details)
            for result in results
            for finding in result.explained().findings
        ),
        tuple(dict.fromkeys(item for result in results for item in result.allowed)),
        notes=() if told is None else (f"{told.version}: {told.found}, format {told.format}",),
        nonzero=sum(result.nonzero or 0 for result in results) or None,
    )
