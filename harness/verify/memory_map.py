"""The dump's memory map: all of the machine's memory, once, and nothing else.

Since Linux 6.10 ``/proc/vmcore`` has one PT_LOAD more, for the kernel image at its virtual
address; what it covers is in the identity mapping's PT_LOADs as well (``text_init`` in
``arch/s390/kernel/crash_dump.c``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.dump.reader import Segment
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding

CHECK, UNIT = "memory-map", "PT_LOAD segments"


def check(evidence: Evidence) -> CheckResult:
    """The identity PT_LOADs have to cover [0, memory) without gap or overlap."""
    if evidence.dump is None:
        return CheckResult.failed(CHECK, UNIT, f"no memory map: {evidence.dump_fault}")
    segments = evidence.dump.segments
    images = [segment for segment in segments if _is_image(segment, segments)]
    identity = sorted(
        (segment for segment in segments if segment not in images), key=lambda item: item.paddr
    )
    messages = [*_coverage(identity, evidence.ram.size), *_bases(identity)]
    if len(images) > 1:
        messages.append(f"{len(images)} PT_LOADs repeat parts of others; one, the kernel's, may")
    findings = tuple(Finding(CHECK, message) for message in messages)
    return CheckResult(CHECK, len(segments), UNIT, findings)


def _is_image(segment: Segment, segments: Sequence[Segment]) -> bool:
    """Whether it lies in another PT_LOAD that is mapped elsewhere: the kernel image's does."""
    return any(
        other.paddr <= segment.paddr
        and segment.end <= other.end
        and other.size > segment.size
        and _base(other) != _base(segment)
        for other in segments
    )


def _coverage(identity: Sequence[Segment], memory: int) -> Iterator[str]:
    covered = 0
    for segment in identity:
        if segment.paddr > covered:
            yield f"no PT_LOAD covers {covered:#x}-{segment.paddr - 1:#x}"
        elif segment.paddr < covered and segment.size:
            last = min(covered, segment.end) - 1
            yield f"PT_LOADs overlap at {segment.paddr:#x}-{last:#x}"
        covered = max(covered, segment.end)
    if covered < memory:
        yield f"no PT_LOAD covers {covered:#x}-{memory - 1:#x}, the end of memory"
    elif covered > memory:
        yield f"PT_LOADs reach to {covered - 1:#x}, the machine's memory ended at {memory - 1:#x}"


def _bases(identity: Sequence[Segment]) -> Iterator[str]:
    bases = sorted({_base(segment) for segment in identity})
    if len(bases) > 1:
        shown = ", ".join(f"{base:#x}" for base in bases)
        yield f"PT_LOADs of the identity mapping have different bases: {shown}"


def _base(segment: Segment) -> int:
    """What is added to an absolute address to get the virtual one; 0 in formats without."""
    return 0 if segment.vaddr is None else segment.vaddr - segment.paddr
