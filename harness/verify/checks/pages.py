"""Compare every page of the dump with the crashed memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.dump.reader import Segment
from harness.errors import EvidenceError
from harness.s390x.lowcore import PAGE_SIZE
from harness.verify import status_area
from harness.verify.differing import (
    CHECK,
    UNIT,
    Difference,
    Differing,
    Piece,
    Sides,
    differences,
    pieces,
    report,
    show_range,
)
from harness.verify.evidence import Evidence
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import FindingKind, MemoryRange, PageOfDump
from harness.verify.status_area import Area

_STEP = 1 << 20  # the unit of loss if a dump cannot be read: the size of a compressed entry
_SHOWN = 16
_SIDES = Sides("dump", "crashed memory", FindingKind.PAGE_DIFFERS, PageOfDump)


def check(evidence: Evidence, written_as: str | None = None) -> CheckResult:
    """Compare each PT_LOAD with the snapshot; holes in both are not read.

    Two PT_LOADs may cover the kernel image; both are compared. A page is a finding if the dump file
    is too short for it, if it cannot be read, or if the machine did not have it.

    ``written_as`` is the format of the dump that this one was converted from: a stand-alone dump
    has registers in its memory, and a conversion keeps them there.
    """
    dump, ram = evidence.dump, evidence.ram
    if dump is None:
        return CheckResult.failed(
            CHECK, UNIT, FindingKind.NO_DUMP, f"no page compared: {evidence.dump_fault}"
        )
    compared = 0
    findings: list[Finding] = []
    allowed: list[AllowedDifference] = []
    differing = Differing()
    unreadable: list[tuple[int, int, str]] = []
    areas = _areas(evidence, written_as or dump.format)
    for segment in dump.segments:
        end = max(segment.paddr, min(segment.present_end, ram.size))
        compared += -(-(end - segment.paddr) // PAGE_SIZE)
        findings += _not_compared(segment, end, ram.size)
        for at, upto in pieces(segment.paddr, end, _STEP):
            try:
                for difference in differences(segment, ram, at, upto):
                    here = areas.get(difference.address, ())
                    wrong = _unless_registers(difference, here)
                    if wrong is None:
                        allowed += [AllowedDifference(area.where, area.reason) for area in here]
                    else:
                        differing.add(wrong)
            except EvidenceError as error:
                compared -= -(-(upto - at) // PAGE_SIZE)
                unreadable.append((at, upto, error.message))
    findings += _unreadable(unreadable)
    if differing:
        findings += report(differing, compared, _SIDES, [Piece(0, ram.size, ram)])
    return CheckResult(CHECK, compared, UNIT, tuple(findings), tuple(dict.fromkeys(allowed)))


def _areas(evidence: Evidence, form: str) -> Mapping[int, Sequence[Area]]:
    """The areas where the dump may have registers instead of the crashed memory, by page."""
    found: dict[int, list[Area]] = {}
    for area in status_area.areas(evidence.cpus, evidence.ipl_cpu, evidence.ram, form):
        found.setdefault(area.start - area.start % PAGE_SIZE, []).append(area)
    return found


def _not_compared(segment: Segment, end: int, memory: int) -> Iterator[Finding]:
    if end == segment.end:
        return
    cause = "the machine had no such memory" if end >= memory else "the dump file ends before it"
    yield _not_compared_range(end, segment.end, cause)


def _unreadable(ranges: Sequence[tuple[int, int, str]]) -> Iterator[Finding]:
    for start, end, why in ranges[:_SHOWN]:
        yield _not_compared_range(start, end, why)
    if len(ranges) > _SHOWN:
        message = f"and {len(ranges) - _SHOWN} more ranges that cannot be read"
        yield Finding(CHECK, FindingKind.MORE, message)


def _not_compared_range(start: int, end: int, why: str) -> Finding:
    message = f"{show_range(start, end)} not compared: {why}"
    return Finding(CHECK, FindingKind.NOT_COMPARED, message, MemoryRange(start, end))


def _unless_registers(difference: Difference, areas: Sequence[Area]) -> Difference | None:
    """The difference; None if registers in these areas explain it."""
    if not areas or len(difference.one) != PAGE_SIZE:
        return difference
    why = status_area.faults(difference.address, difference.one, difference.other, areas)
    return replace(difference, why=why) if why else None
