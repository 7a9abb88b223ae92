"""Every page of the dump against the crashed memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.dump.reader import Dump, Segment
from harness.sparse import data_extents
from harness.verify import status_area
from harness.verify.evidence import Evidence, RamImage
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.status_area import Area

CHECK, UNIT = "pages", "pages"
PAGE = 4096
CHUNK = 1 << 17  # of a size that malloc recycles: 1 MiB pieces were seen to take 7 times as long
DETAILED = 16  # differing pages that are described one by one
SHOWN_RANGES = 32
SHOWN_BYTES = 16
SHOWN_WHY = 4
_SAME_CONTENT = 4  # addresses at which the same content may be reported


@dataclass(frozen=True)
class Difference:
    """A page, or what a PT_LOAD has of it, that is not as it was; ``why`` adds to that."""

    address: int
    dumped: bytes
    before: bytes
    why: tuple[str, ...] = ()

    @property
    def offset(self) -> int:
        """Of the first differing byte, from ``address`` on."""
        pairs = zip(self.dumped, self.before, strict=True)
        return next(at for at, (one, other) in enumerate(pairs) if one != other)

    @property
    def uniform(self) -> bool:
        """Whether one byte fills the dumped page: such a page is everywhere and tells nothing."""
        return self.dumped.count(self.dumped[:1]) == len(self.dumped)


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
    differing: dict[int, Difference] = {}
    areas = _areas(evidence, dump)
    for segment in dump.segments:
        end = max(segment.paddr, min(segment.present_end, ram.size))
        compared += -(-(end - segment.paddr) // PAGE)
        findings += _not_compared(segment, end, ram.size)
        for difference in _differences(segment, end, ram):
            here = areas.get(difference.address, ())
            judged = _judge(difference, here)
            if judged is None:
                allowed += [AllowedDifference(area.where, area.reason) for area in here]
            else:
                differing.setdefault(judged.address, judged)
    if differing:
        findings += _report([differing[at] for at in sorted(differing)], compared, ram)
    return CheckResult(CHECK, compared, UNIT, tuple(findings), tuple(dict.fromkeys(allowed)))


def _areas(evidence: Evidence, dump: Dump) -> Mapping[int, Sequence[Area]]:
    """Where the dump may have registers instead of the crashed memory, by page."""
    found: dict[int, list[Area]] = {}
    for area in status_area.areas(evidence.cpus, evidence.ipl_cpu, evidence.ram, dump.format):
        found.setdefault(area.start - area.start % PAGE, []).append(area)
    return found


def _not_compared(segment: Segment, end: int, memory: int) -> Iterator[Finding]:
    if end == segment.end:
        return
    cause = "the machine had no such memory" if end >= memory else "the dump file ends before it"
    yield Finding(
        CHECK,
        f"{_range(end, segment.end)} not compared: {cause}",
        {"start": end, "end": segment.end},
    )


def _differences(segment: Segment, end: int, ram: RamImage) -> Iterator[Difference]:
    for start, stop in _with_data(segment, end, ram):
        for at, upto in _pieces(start, stop, CHUNK):
            chunk = segment.read(at, upto - at)
            if chunk == ram.map[at:upto]:
                continue
            for page, page_end in _pieces(at, upto, PAGE):
                dumped = chunk[page - at : page_end - at]
                before = ram.map[page:page_end]
                if dumped != before:
                    yield Difference(page, dumped, before)


def _with_data(segment: Segment, end: int, ram: RamImage) -> Iterator[tuple[int, int]]:
    """Absolute ranges, ascending and disjoint, where dump file or snapshot are not a hole."""
    in_dump = segment.data_ranges(segment.paddr, end)
    in_ram = ((at, at + size) for at, size in data_extents(ram.file.fileno(), segment.paddr, end))
    start = stop = segment.paddr
    for at, upto in heapq.merge(in_dump, in_ram):
        if at > stop:
            if stop > start:
                yield start, stop
            start = at
        stop = max(stop, upto)
    if stop > start:
        yield start, stop


def _pieces(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """The range, cut at multiples of ``size``."""
    while start < stop:
        end = min(stop, start - start % size + size)
        yield start, end
        start = end


def _judge(difference: Difference, areas: Sequence[Area]) -> Difference | None:
    """None if the difference is the one that registers in these areas make."""
    if not areas or len(difference.dumped) != PAGE:
        return difference
    why = status_area.faults(difference.address, difference.dumped, difference.before, areas)
    return replace(difference, why=why) if why else None


def _report(differing: Sequence[Difference], compared: int, ram: RamImage) -> Iterator[Finding]:
    ranges = list(_ranges(difference.address for difference in differing))
    shown = ", ".join(_range(start, end) for start, end in ranges[:SHOWN_RANGES])
    more = f" and {len(ranges) - SHOWN_RANGES} more ranges" if len(ranges) > SHOWN_RANGES else ""
    yield Finding(
        CHECK,
        f"{len(differing)} of {compared} pages differ: {shown}{more}",
        {"pages": len(differing), "ranges": ranges},
    )
    detailed = differing[:DETAILED]
    origins = _origins({item.dumped for item in detailed if not item.uniform}, ram)
    for difference in detailed:
        yield _detail(difference, origins.get(difference.dumped, []))


def _detail(difference: Difference, origins: Sequence[int]) -> Finding:
    address, offset = difference.address, difference.offset
    dumped = difference.dumped[offset : offset + SHOWN_BYTES].hex(" ")
    before = difference.before[offset : offset + SHOWN_BYTES].hex(" ")
    parts = [
        f"page {address:#x}: first difference at {address + offset:#x}: "
        f"dump {dumped}, crashed memory {before}"
    ]
    parts += difference.why[:SHOWN_WHY]
    if len(difference.why) > SHOWN_WHY:
        parts.append(f"and {len(difference.why) - SHOWN_WHY} more")
    if difference.uniform:
        parts.append(f"the dump has nothing but {difference.dumped[0]:#04x} there")
    elif origins:
        places = ", ".join(f"{origin:#x} (shifted by {address - origin:+#x})" for origin in origins)
        parts.append(f"the dump's content is that of page {places}")
    else:
        parts.append("the dump's content occurs nowhere in the crashed memory")
    return Finding(
        CHECK,
        "; ".join(parts),
        {
            "address": address,
            "offset": offset,
            "dump": dumped,
            "memory": before,
            "content_of": list(origins),
            "why": list(difference.why),
        },
    )


def _origins(wanted: set[bytes], ram: RamImage) -> dict[bytes, list[int]]:
    """At which page addresses of the snapshot each of the ``wanted`` pages occurs."""
    found: dict[bytes, list[int]] = {}
    if not wanted:
        return found
    for start, size in data_extents(ram.file.fileno()):
        for at, upto in _pieces(start, start + size, CHUNK):
            chunk = ram.map[at:upto]
            for offset in range(0, len(chunk), PAGE):
                page = chunk[offset : offset + PAGE]
                if page in wanted and len(places := found.setdefault(page, [])) < _SAME_CONTENT:
                    places.append(at + offset)
    return found


def _ranges(addresses: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(start, end) of runs of adjacent pages, from ascending page addresses."""
    start = end = None
    for address in addresses:
        if start is None or end is None:
            start = address
        elif address > end:
            yield start, end
            start = address
        end = address - address % PAGE + PAGE
    if start is not None and end is not None:
        yield start, end


def _range(start: int, end: int) -> str:
    return f"{start:#x}-{end - 1:#x}"
