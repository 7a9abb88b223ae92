"""Compare pages of two memories: which differ, and where does their content come from?"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, overload

from harness.dump.formats.page_runs import RunSegments
from harness.s390x.lowcore import PAGE_SIZE
from harness.verify.findings import Finding
from harness.verify.kinds import Details, DifferingPages, FindingKind

CHECK = UNIT = "pages"
CHUNK = 1 << 17  # a size that malloc recycles: 1 MiB pieces were seen to take 7 times as long
DETAILED = 16  # differing pages that are described one by one
SHOWN_RANGES = 32
LISTED = 1 << 16  # in a finding's details, for programs
SHOWN_BYTES = 16
SHOWN_WHY = 4
_SAME_CONTENT = 4  # addresses at which the same content may be reported


class Memory(Protocol):
    """Memory by absolute address."""

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes from ``address`` on."""

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, end) of the ranges that may not be zero, ascending."""


class Piece(NamedTuple):
    """What ``memory`` has from ``start`` up to but not including ``end``."""

    start: int
    end: int
    memory: Memory


class RunPieces(Sequence[Piece]):
    """Runs of pages as pieces of one memory, made on demand.

    There may be a million.
    """

    def __init__(self, segments: RunSegments) -> None:
        self._runs, self._memory = segments.runs, segments.whole

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Piece]:
        return (
            Piece(start * PAGE_SIZE, end * PAGE_SIZE, self._memory) for start, end in self._runs
        )

    @overload
    def __getitem__(self, number: int) -> Piece: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Piece]: ...
    def __getitem__(self, number: int | slice) -> Piece | Sequence[Piece]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        start, end = self._runs[number]
        return Piece(start * PAGE_SIZE, end * PAGE_SIZE, self._memory)


PageDetails = Callable[[int, int, str, str, tuple[int, ...], tuple[str, ...]], Details]


class Sides(NamedTuple):
    """What two memories are called in messages (after "the"), and how a page that differs is told.

    ``details`` are made of its address, the first offset that differs, the bytes of both sides from
    there on, the pages with the same content, and what else is known.
    """

    one: str
    other: str
    kind: FindingKind
    details: PageDetails


@dataclass(frozen=True)
class Difference:
    """A page, or the part that both memories have, that differs; ``why`` has explanations."""

    address: int
    one: bytes
    other: bytes
    why: tuple[str, ...] = ()

    @property
    def offset(self) -> int:
        """Offset of the first differing byte from ``address``."""
        pairs = zip(self.one, self.other, strict=True)
        return next(at for at, (left, right) in enumerate(pairs) if left != right)

    @property
    def uniform(self) -> bool:
        """Whether the first memory's page repeats one byte: such pages are everywhere."""
        return self.one.count(self.one[:1]) == len(self.one)


class Differing:
    """All pages that differ; only the first few are kept with their content."""

    def __init__(self) -> None:
        self._starts, self._ends = array("Q"), array("Q")  # of runs: there may be a million
        self._ascending = True
        self._first: dict[int, Difference] = {}

    def add(self, difference: Difference) -> None:
        """Add a page; a page that was added before does not change."""
        address = difference.address
        end = address - address % PAGE_SIZE + PAGE_SIZE
        if self._ends and self._ends[-1] == address:
            self._ends[-1] = end
        else:
            self._ascending &= not self._ends or address > self._ends[-1]
            self._starts.append(address)
            self._ends.append(end)
        if len(self._first) < DETAILED or address < max(self._first):
            self._first.setdefault(address, difference)
        if len(self._first) > DETAILED:
            del self._first[max(self._first)]

    def __bool__(self) -> bool:
        return bool(self._ends)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """(start, end) of runs of adjacent pages, ascending."""
        runs = zip(self._starts, self._ends, strict=True)
        return merged(runs if self._ascending else sorted(runs))

    def first(self) -> list[Difference]:
        """The differences with the lowest addresses."""
        return [self._first[at] for at in sorted(self._first)]


def differences(one: Memory, other: Memory, start: int, end: int) -> Iterator[Difference]:
    """The pages between two addresses that differ; common holes are not read."""
    for data_start, data_end in data_in(one, other, start, end):
        for at, upto in pieces(data_start, data_end, CHUNK):
            chunk, before = one.read(at, upto - at), other.read(at, upto - at)
            if chunk == before:
                continue
            for page, page_end in pieces(at, upto, PAGE_SIZE):
                left, right = chunk[page - at : page_end - at], before[page - at : page_end - at]
                if left != right:
                    yield Difference(page, left, right)


def data_in(one: Memory, other: Memory, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the ranges that may not be zero in one of them, ascending.

    Ranges smaller than ``CHUNK`` are not searched.
    """
    if end - start <= CHUNK:
        return iter(((start, end),) if start < end else ())
    return merged(heapq.merge(one.data_ranges(start, end), other.data_ranges(start, end)))


def merged(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges, ascending by their start; those that touch or overlap are joined."""
    start = stop = -1
    for at, upto in ranges:
        if at > stop:
            if stop > start:
                yield start, stop
            start = at
        stop = max(stop, upto)
    if stop > start:
        yield start, stop


def pieces(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """The range, cut at multiples of ``size``."""
    while start < stop:
        end = min(stop, start - start % size + size)
        yield start, end
        start = end


def report(
    differing: Differing, compared: int, sides: Sides, other: Sequence[Piece]
) -> Iterator[Finding]:
    """Findings: how many of the ``compared`` pages differ, and details of the first few.

    ``other`` is all of the second side's memory, which is searched for shifted content.
    """
    pages = count = 0
    ranges: list[tuple[int, int]] = []
    for start, end in differing.ranges():
        pages, count = pages - (start - end) // PAGE_SIZE, count + 1
        if count <= LISTED:
            ranges.append((start, end))
    shown = ", ".join(show_range(start, end) for start, end in ranges[:SHOWN_RANGES])
    more = f" and {count - SHOWN_RANGES} more ranges" if count > SHOWN_RANGES else ""
    yield Finding(
        CHECK,
        FindingKind.PAGES_DIFFER,
        f"{pages} of {compared} pages differ: {shown}{more}",
        DifferingPages(pages, tuple(ranges)),
    )
    detailed = differing.first()
    origins = _origins({item.one for item in detailed if not item.uniform}, other)
    for difference in detailed:
        yield _detail(difference, sides, origins.get(difference.one, []))


def show_range(start: int, end: int) -> str:
    """The range in text, with its last address."""
    return f"{start:#x}-{end - 1:#x}"


def _detail(difference: Difference, sides: Sides, origins: Sequence[int]) -> Finding:
    address, offset = difference.address, difference.offset
    one, other = (
        page[offset : offset + SHOWN_BYTES].hex(" ") for page in (difference.one, difference.other)
    )
    parts = [
        f"page {address:#x}: first difference at {address + offset:#x}: "
        f"{sides.one} {one}, {sides.other} {other}"
    ]
    parts += difference.why[:SHOWN_WHY]
    if len(difference.why) > SHOWN_WHY:
        parts.append(f"and {len(difference.why) - SHOWN_WHY} more")
    if difference.uniform:
        parts.append(f"the {sides.one} has nothing but {difference.one[0]:#04x} there")
    elif origins:
        places = ", ".join(f"{origin:#x} (shifted by {address - origin:+#x})" for origin in origins)
        parts.append(f"the {sides.one}'s content is that of page {places}")
    else:
        parts.append(f"the {sides.one}'s content occurs nowhere in the {sides.other}")
    details = sides.details(address, offset, one, other, tuple(origins), difference.why)
    return Finding(CHECK, sides.kind, "; ".join(parts), details)


def _origins(wanted: set[bytes], memory: Sequence[Piece]) -> dict[bytes, list[int]]:
    """The page addresses at which each of the ``wanted`` pages occurs."""
    found: dict[bytes, list[int]] = {}
    if not wanted:
        return found
    for piece in memory:
        for start, end in piece.memory.data_ranges(piece.start, piece.end):
            for at, upto in pieces(start, end, CHUNK):
                chunk = piece.memory.read(at, upto - at)
                for offset in range(0, len(chunk), PAGE_SIZE):
                    page = chunk[offset : offset + PAGE_SIZE]
                    if page in wanted and len(places := found.setdefault(page, [])) < _SAME_CONTENT:
                        places.append(at + offset)
    return found
