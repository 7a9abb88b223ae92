"""The dump's memory map: all of the machine's memory, once, and nothing else.

If the scenario limits the dump, that is all memory below the limit, and the dump says so.

Since Linux 6.10 ``/proc/vmcore`` has one PT_LOAD more, for the kernel image at its virtual
address; what it covers is in the identity mapping's PT_LOADs as well (``text_init`` in
``arch/s390/kernel/crash_dump.c``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.dump.formats.table import format_named
from harness.dump.linux import os_info
from harness.dump.reader import Range, Segment
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, MemoryRange

CHECK, UNIT = "memory-map", "PT_LOAD segments"
_SHOWN = 16
_WITH_IMAGE = (6, 10)  # the first Linux that, as a dump kernel, adds the image's PT_LOAD


def check(evidence: Evidence) -> CheckResult:
    """The identity PT_LOADs have to cover all promised memory, from 0 on, without gap or overlap.

    All have to be at the virtual addresses that the crashed kernel's os_info tells.
    """
    if evidence.dump is None:
        return CheckResult.failed(
            CHECK, UNIT, FindingKind.NO_DUMP, f"no memory map: {evidence.dump_fault}"
        )
    segments = evidence.dump.segments
    findings = [
        *_empty(segments),
        *faults(segments, evidence.promised, limited=evidence.withheld is not None),
        *_limit(evidence.dump.limited, evidence.withheld),
    ]
    notes: tuple[str, ...] = ()
    if evidence.withheld is not None:
        notes = (
            f"the scenario limits the dump to {evidence.promised:#x} of the machine's "
            f"{evidence.ram.size:#x} bytes of memory",
        )
    told = os_info.layout(evidence.crashed)
    if told is not None and format_named(evidence.dump.format).has_virtual:
        if _knows_images(evidence.dump_release):
            findings += _misplaced(segments, told, evidence.promised)
        else:
            notes += (f"Linux {evidence.dump_release} writes no PT_LOAD for the kernel's image",)
    return CheckResult(CHECK, len(segments), UNIT, tuple(findings), notes=notes)


def _knows_images(release: str | None) -> bool:
    """Whether the dump kernel adds the image's PT_LOAD; an unknown release counts as new."""
    version = re.match(r"(\d+)\.(\d+)", release or "")
    return version is None or (int(version[1]), int(version[2])) >= _WITH_IMAGE


def _limit(told: Range | None, withheld: Range | None) -> Iterator[Finding]:
    """The dump must say that it is limited if it is, and only then."""
    if told == withheld:
        return
    if told is not None:
        message = (
            f"the dump says that it is limited to {told.start:#x} of {told.end:#x} bytes of memory,"
            " the scenario does not limit it so"
        )
        yield _of_range(FindingKind.LIMIT_UNASKED, *told, message)
    if withheld is not None:
        message = (
            f"the dump does not say that it is limited to {withheld.start:#x} of "
            f"{withheld.end:#x} bytes of memory"
        )
        yield _of_range(FindingKind.LIMIT_UNTOLD, *withheld, message)


def _misplaced(
    segments: Sequence[Segment], told: os_info.Layout, promised: int
) -> Iterator[Finding]:
    identity, _ = split(segments)
    for base in sorted({base_of(segment) for segment in identity} - {told.identity_base}):
        yield Finding(
            CHECK,
            FindingKind.IDENTITY_BASE,
            f"the identity mapping is at {base:#x}, the crashed kernel's os_info says "
            f"{told.identity_base:#x}",
        )
    start, size = told.image_start, told.image_end - told.image_start
    size = min(size, promised - told.image_phys)
    if size > 0 and (told.image_phys, start, size) not in {
        (segment.paddr, segment.vaddr, segment.size) for segment in segments
    }:
        yield Finding(
            CHECK,
            FindingKind.IMAGE_MISPLACED,
            f"no PT_LOAD has the kernel's image at {start:#x} ({size:#x} bytes at "
            f"{told.image_phys:#x}), where the crashed kernel's os_info says it is",
        )


def _empty(segments: Sequence[Segment]) -> Iterator[Finding]:
    for number, segment in enumerate(segments):
        if not segment.size:
            message = f"PT_LOAD {number} (at {segment.paddr:#x}) is empty"
            yield Finding(CHECK, FindingKind.SEGMENT_EMPTY, message)


def faults(
    segments: Sequence[Segment], memory: int | None, *, limited: bool = False
) -> Iterator[Finding]:
    """What is wrong with a map of [0, ``memory``); None if the end of memory is unknown.

    ``limited``: the machine has more memory, which must not be in the dump.
    """
    identity, images = split(segments)
    yield from coverage(identity, memory, limited=limited)
    yield from _bases(identity)
    if len(images) > 1:
        message = f"{len(images)} PT_LOADs repeat parts of others; one, the kernel's, may"
        yield Finding(CHECK, FindingKind.SEGMENTS_REPEAT, message)


def split(segments: Sequence[Segment]) -> tuple[list[Segment], list[Segment]]:
    """Segments of the identity mapping, ascending, and segments that lie within one of them.

    The kernel image's is mapped elsewhere and lies in a larger one. A damaged dump may have 65534
    of them: of those before, only the one that reaches farthest counts, and, for segments of its
    own base, the one of another base.
    """
    identity: list[Segment] = []
    images: list[Segment] = []
    first: Segment | None = None  # reaches farthest
    second: Segment | None = None  # likewise, of those with another base than the first
    for segment in sorted(segments, key=lambda item: (item.paddr, -item.size)):
        same_base = first is not None and base_of(first) == base_of(segment)
        outer = second if same_base else first
        (images if outer is not None and _is_within(segment, outer) else identity).append(segment)
        if first is None or segment.end > first.end:
            first, second = segment, second if same_base else first
        elif not same_base and (second is None or segment.end > second.end):
            second = segment
    return identity, images


def _is_within(segment: Segment, outer: Segment) -> bool:
    """Whether the second of two ascending segments is in the first; not if empty at its end."""
    return segment.paddr < outer.end >= segment.end and outer.size > segment.size


def coverage(
    identity: Iterable[Segment],
    memory: int | None,
    what: str = "PT_LOAD",
    *,
    limited: bool = False,
) -> Iterator[Finding]:
    """Gaps and overlaps of ascending segments; ``what`` is their name."""
    covered = 0
    for segment in identity:
        if segment.paddr > covered:
            message = f"no {what} covers {covered:#x}-{segment.paddr - 1:#x}"
            yield _of_range(FindingKind.MEMORY_GAP, covered, segment.paddr, message)
        elif segment.paddr < covered and segment.size:
            end = min(covered, segment.end)
            message = f"{what}s overlap at {segment.paddr:#x}-{end - 1:#x}"
            yield _of_range(FindingKind.MEMORY_OVERLAP, segment.paddr, end, message)
        covered = max(covered, segment.end)
    if memory is None:
        return
    if covered < memory:
        where = "up to the limit of the dump" if limited else "the end of memory"
        message = f"no {what} covers {covered:#x}-{memory - 1:#x}, {where}"
        yield _of_range(FindingKind.MEMORY_GAP, covered, memory, message)
    elif covered > memory:
        most = "the limit of the dump is" if limited else "the machine's memory ended at"
        message = f"{what}s reach to {covered - 1:#x}, {most} {memory - 1:#x}"
        yield _of_range(FindingKind.MEMORY_BEYOND_END, memory, covered, message)


def _of_range(kind: FindingKind, start: int, end: int, message: str) -> Finding:
    return Finding(CHECK, kind, message, MemoryRange(start, end))


def _bases(identity: Sequence[Segment]) -> Iterator[Finding]:
    bases = sorted({base_of(segment) for segment in identity})
    if len(bases) > 1:
        shown = ", ".join(f"{base:#x}" for base in bases[:_SHOWN])
        if len(bases) > _SHOWN:
            shown += f" and {len(bases) - _SHOWN} more"
        message = f"PT_LOADs of the identity mapping have different bases: {shown}"
        yield Finding(CHECK, FindingKind.IDENTITY_BASE, message)


def base_of(segment: Segment) -> int:
    """The difference of virtual and absolute address; 0 in formats without virtual addresses."""
    return 0 if segment.vaddr is None else segment.vaddr - segment.paddr
