"""Every page of the dump against the crashed memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.dump.reader import Segment
from harness.verify import status_area
from harness.verify.differing import (
    CHECK,
    PAGE,
    Difference,
    Differing,
    Piece,
    Side,
    differences,
    report,
    show_range,
)
from harness.verify.evidence import Evidence
from harness.verify.findings import AllowedDifference, CheckResult, Finding

UNIT = "pages"
_SIDES = (Side("dump", "dump"), Side("crashed memory", "memory"))
_STATUS_AREA = AllowedDifference(f"page {status_area.STATUS_PAGE:#x}", status_area.REASON)


def check(evidence: Evidence) -> CheckResult:
    """Compare each PT_LOAD with the snapshot, holes in both skipped unread.

    The two PT_LOADs that may cover the kernel image are both compared. A page that the dump file
    is too short for, or that the machine did not have, is a finding.
    """
    dump, ram = evidence.dump, evidence.ram
    if dump is None:
        return CheckResult.failed(CHECK, UNIT, f"no page compared: {evidence.dump_fault}")
    compared = 0
    findings: list[Finding] = []
    allowed: list[AllowedDifference] = []
    differing = Differing()
    for segment in dump.segments:
        end = max(segment.paddr, min(segment.present_end, ram.size))
        compared += -(-(end - segment.paddr) // PAGE)
        findings += _not_compared(segment, end, ram.size)
        for difference in differences(segment, ram, segment.paddr, end):
            judged = _judge(difference, evidence)
            if judged is None:
                allowed.append(_STATUS_AREA)
            else:
                differing.add(judged)
    if differing:
        findings += report(differing, compared, _SIDES, [Piece(0, ram.size, ram)])
    return CheckResult(CHECK, compared, UNIT, tuple(findings), tuple(dict.fromkeys(allowed)))


def _not_compared(segment: Segment, end: int, memory: int) -> Iterator[Finding]:
    if end == segment.end:
        return
    cause = "the machine had no such memory" if end >= memory else "the dump file ends before it"
    yield Finding(
        CHECK,
        f"{show_range(end, segment.end)} not compared: {cause}",
        {"start": end, "end": segment.end},
    )


def _judge(difference: Difference, evidence: Evidence) -> Difference | None:
    """None if the difference is the one that store status makes."""
    if difference.address != status_area.STATUS_PAGE or len(difference.one) != PAGE:
        return difference
    why = status_area.faults(difference.one, difference.other, evidence.ipl_cpu)
    return replace(difference, why=why) if why else None
