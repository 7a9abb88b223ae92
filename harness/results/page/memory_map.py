"""The crashed system's memory as a picture: the HSA, the kernel, and what is wrong where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from harness.s390x.lowcore import PAGE_SIZE
from harness.verify.checks import own_dump
from harness.verify.differing import merged, show_range
from harness.verify.findings import Finding
from harness.verify.kinds import (
    DifferingPages,
    FindingKind,
    MemoryRange,
    Page,
    PageOfDump,
    PlantedFaults,
)

MOST = 1000  # marks
WIDTH = 1000  # of the picture; a unit is a thousandth of memory
_LEAST_WIDTH = 1.5  # of a mark, or nobody would see a page among millions
_TOP, _STRIP, _LANE, _GAP = 1, 34, 16, 6

_Range = tuple[int, int]


class What(Enum):
    """What a mark says of its memory."""

    HSA = "saved in the HSA"
    IMAGE = "kernel image"
    DIFFERS = "differs"
    PLANTED = "planted content is wrong"
    ABSENT = "not in the dump"
    TWICE = "twice in the dump"
    NOT_COMPARED = "not compared"

    @property
    def style(self) -> str:
        return self.name.lower().replace("_", "-")


_WRONG = {
    FindingKind.PAGES_DIFFER: What.DIFFERS,
    FindingKind.PAGE_DIFFERS: What.DIFFERS,
    FindingKind.PLANTED_FAULTS: What.PLANTED,
    FindingKind.PLANTED_PAGE_WRONG: What.PLANTED,
    FindingKind.MEMORY_GAP: What.ABSENT,
    FindingKind.LIMIT_UNTOLD: What.ABSENT,
    FindingKind.LIMIT_UNASKED: What.ABSENT,
    FindingKind.MEMORY_OVERLAP: What.TWICE,
    FindingKind.NOT_COMPARED: What.NOT_COMPARED,
}


@dataclass(frozen=True)
class Memory:
    """``size`` in bytes; ``hsa_size`` and the ``image`` of the kernel, if they are known."""

    size: int
    hsa_size: int | None = None
    image: _Range | None = None


@dataclass(frozen=True)
class Mark:
    """Memory from ``start`` to ``end`` (not included), of which ``size`` bytes are marked.

    These make ``ranges`` ranges; more than one if neighbours had to be joined.
    """

    what: What
    start: int
    end: int
    size: int
    ranges: int = 1

    @property
    def pages(self) -> int:
        return -(-self.size // PAGE_SIZE)

    @property
    def where(self) -> str:
        return show_range(self.start, self.end)

    @property
    def much(self) -> str:
        pages = "1 page" if self.pages == 1 else f"{self.pages} pages"
        return pages if self.ranges == 1 else f"{pages} in {self.ranges} ranges"

    @property
    def words(self) -> str:
        return f"{self.where}: {self.what.value}, {self.much}"


@dataclass(frozen=True)
class Box:
    """A mark in the picture."""

    mark: Mark
    x: float
    y: int
    width: float
    height: int


@dataclass(frozen=True)
class MemoryMap:
    """The picture of ``memory``. ``unlisted``: pages differ of which no finding says where."""

    memory: Memory
    marks: tuple[Mark, ...]
    unlisted: int
    width: int = WIDTH

    @property
    def boxes(self) -> tuple[Box, ...]:
        return tuple(map(self._box, self.marks))

    @property
    def strip(self) -> tuple[int, int]:
        """Top and height of what stands for all memory."""
        return _TOP, _STRIP

    @property
    def height(self) -> int:
        return _TOP + _STRIP + len(self._lanes) * (_GAP + _LANE) + _TOP

    @property
    def _lanes(self) -> list[What]:
        """What is wrong: each has a lane of its own below the memory."""
        return list(dict.fromkeys(mark.what for mark in self.marks if mark.what in _LANES))

    def _box(self, mark: Mark) -> Box:
        width = max(_LEAST_WIDTH, (mark.end - mark.start) * WIDTH / self.memory.size)
        x = min(mark.start * WIDTH / self.memory.size, WIDTH - width)
        y, height = self.strip
        if mark.what in _LANES:
            y += _STRIP + _GAP + self._lanes.index(mark.what) * (_GAP + _LANE)
            height = _LANE
        return Box(mark, round(x, 3), y, round(width, 3), height)


_LANES = frozenset(_WRONG.values())


def memory_map(memory: Memory, findings: Iterable[Finding]) -> MemoryMap:
    """The map of ``memory`` with what the findings about its dump say; at most ``MOST`` marks."""
    of_dump = [
        finding
        for finding in findings
        if finding.kind in _WRONG and finding.check != own_dump.CHECK
    ]
    wrong: dict[What, list[_Range]] = {}
    for finding in of_dump:
        wrong.setdefault(_WRONG[finding.kind], []).extend(_ranges(finding))
    ranges = {what: _within(found, memory.size) for what, found in wrong.items()}
    differ = sum(end - start for start, end in ranges.get(What.DIFFERS, ())) // PAGE_SIZE
    told = max(
        (each.details.pages for each in of_dump if isinstance(each.details, DifferingPages)),
        default=0,
    )
    marks = (*_regions(memory), *_marks(ranges))
    return MemoryMap(memory, marks, max(0, told - differ))


def _regions(memory: Memory) -> Iterator[Mark]:
    """What is known of memory itself."""
    hsa = None if memory.hsa_size is None else (0, memory.hsa_size)
    for what, known in ((What.HSA, hsa), (What.IMAGE, memory.image)):
        for start, end in _within([known] if known else [], memory.size):
            yield Mark(what, start, end, end - start)


def _marks(ranges: Mapping[What, Sequence[_Range]]) -> Iterator[Mark]:
    kinds = [what for what in What if ranges.get(what)]
    for what in kinds:
        yield from _joined(what, ranges[what], (MOST - 2) // len(kinds))


def _joined(what: What, ranges: Sequence[_Range], most: int) -> Iterator[Mark]:
    """Marks of disjoint ascending ranges; those next to each other are joined if there are more."""
    gaps = sorted(
        range(1, len(ranges)), key=lambda at: ranges[at][0] - ranges[at - 1][1], reverse=True
    )
    cuts = [0, *sorted(gaps[: most - 1]), len(ranges)]
    for first, behind in pairwise(cuts):
        group = ranges[first:behind]
        size = sum(end - start for start, end in group)
        yield Mark(what, group[0][0], group[-1][1], size, len(group))


def _within(ranges: Iterable[_Range], size: int) -> list[_Range]:
    """The parts in memory of that size, ascending; what touches is one."""
    parts = ((max(0, start), min(end, size)) for start, end in ranges)
    return list(merged(sorted(part for part in parts if part[0] < part[1])))


def _ranges(finding: Finding) -> Iterator[_Range]:
    match finding.details:
        case DifferingPages(ranges=ranges):
            yield from ranges
        case PageOfDump(address=address) | Page(address=address):
            yield _page(address)
        case PlantedFaults(pages=pages):
            yield from map(_page, pages)
        case MemoryRange(start=start, end=end):
            yield start, end


def _page(address: int) -> _Range:
    return address, address - address % PAGE_SIZE + PAGE_SIZE
