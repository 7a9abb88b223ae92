"""The pages of a dump that has only some pages, as runs of page numbers."""

from __future__ import annotations

import re
from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import eq
from typing import overload

from harness.dump.byte_source import ByteSource
from harness.dump.reader import Dump, Range, Segment
from harness.limits import exceeded, page_runs_for
from harness.s390x.lowcore import PAGE_SIZE

_CHUNK = 1 << 20
_SET_BITS = re.compile(rb"\xff+|[^\x00\xff]")


class PageRuns:
    """Ascending runs of page numbers, in arrays: a filtered dump may have a million of them.

    ``limit`` is the most runs that the dump ``name`` may have.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name, self._limit = name, limit
        self._start, self._end, self._before = array("Q"), array("Q"), array("Q")
        self.count = 0  # of pages

    def __len__(self) -> int:
        return len(self._start)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._start, self._end, strict=True)

    def __getitem__(self, number: int) -> tuple[int, int]:
        """The first page of a run, and the page behind its last."""
        return self._start[number], self._end[number]

    def add(self, start: int, end: int) -> None:
        """Append the pages from ``start`` up to but not including ``end``.

        Raises LimitError if the dump has too many runs.
        """
        if self._end and self._end[-1] == start:
            self._end[-1] = end
        else:
            if len(self._start) >= self._limit:
                raise exceeded(self._name, "has more runs of pages than a dump", self._limit)
            self._start.append(start)
            self._end.append(end)
            self._before.append(self.count)
        self.count += end - start

    def run_of(self, page: int) -> int | None:
        """The number of the run that has ``page``; None if no run has it."""
        number = bisect_right(self._start, page) - 1
        return number if number >= 0 and page < self._end[number] else None

    def index_of(self, page: int) -> int | None:
        """How many pages come before ``page``; None if it is in no run."""
        number = self.run_of(page)
        return None if number is None else self._before[number] + page - self._start[number]


def runs_in_bitmap(content: ByteSource, start: int, size: int, pages: int) -> PageRuns:
    """The bits that are set in a bitmap of ``size`` bytes, the lowest bit of a byte first.

    Bits from ``pages`` on do not count. Raises EvidenceError if the bitmap is truncated,
    LimitError if it has more runs than a dump of this size.
    """
    runs = PageRuns(content.name, page_runs_for(content.size))
    for at, length in content.data_extents(start, start + size):
        for chunk_at in range(at, at + length, _CHUNK):
            chunk = content.read(chunk_at, min(_CHUNK, at + length - chunk_at), "bitmap")
            for match in _SET_BITS.finditer(chunk):
                first = (chunk_at - start + match.start()) * 8
                for low, high in _runs_in(match[0]):
                    if first + low < pages:
                        runs.add(first + low, min(first + high, pages))
    return runs


def _runs_in(data: bytes) -> tuple[tuple[int, int], ...]:
    return ((0, 8 * len(data)),) if data[0] == 0xFF else _RUNS[data[0]]


def _runs_in_byte(byte: int) -> Iterator[tuple[int, int]]:
    for match in re.finditer("1+", f"{byte:08b}"[::-1]):
        yield match.span()


_RUNS = tuple(tuple(_runs_in_byte(byte)) for byte in range(256))


class Bitmap:
    """A bitmap of ``size`` bytes that is read bit by bit; bits from ``pages`` on are 0."""

    def __init__(self, content: ByteSource, start: int, size: int, pages: int) -> None:
        self._content, self._start, self._size, self._pages = content, start, size, pages

    def __contains__(self, page: int) -> bool:
        if page >= self._pages:
            return False
        byte = self._content.read(self._start + page // 8, 1, "bitmap")[0]
        return bool(byte >> page % 8 & 1)

    def runs(self) -> PageRuns:
        """The bits that are set; raises as ``runs_in_bitmap``."""
        return runs_in_bitmap(self._content, self._start, self._size, self._pages)

    def count(self) -> int:
        """How many bits are set; raises EvidenceError if the bitmap is truncated."""
        whole, rest = divmod(self._pages, 8)
        end, found = self._start + whole, 0
        for at, size in self._content.data_extents(self._start, end):
            for chunk_at in range(at, at + size, _CHUNK):
                chunk = self._content.read(chunk_at, min(_CHUNK, at + size - chunk_at), "bitmap")
                found += int.from_bytes(chunk, "big").bit_count()
        return found + sum(8 * whole + bit in self for bit in range(rest))


class PagedMemory(ByteSource):
    """Memory from absolute address 0 on, read a page at a time."""

    def __init__(self, content: ByteSource, pages: int) -> None:
        self._content, self.name, self.size = content, content.name, pages * PAGE_SIZE
        self._last: tuple[int, bytes] = (-1, b"")

    @abstractmethod
    def page(self, number: int) -> bytes:
        """One page; raises EvidenceError if it is missing."""

    def upto(self, at: int, size: int) -> bytes:
        parts, end = [], min(at + size, self.size)
        while at < end:
            number, offset = divmod(at, PAGE_SIZE)
            if number != self._last[0]:
                self._last = number, self.page(number)
            parts.append(self._last[1][offset : offset + end - at])
            at += len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        self._content.close()


class RunSegments(Sequence[Segment]):
    """Each run as a segment of ``memory``, whose offsets are absolute addresses.

    ``whole`` has all of them; use it instead of making a million segments one by one.
    """

    def __init__(self, runs: PageRuns, memory: ByteSource) -> None:
        self.runs, self._memory = runs, memory
        self.whole = Segment(0, memory.size, memory)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Segment]:
        return (self._segment(*run) for run in self.runs)

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Segment]: ...
    def __getitem__(self, number: int | slice) -> Segment | Sequence[Segment]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        return self._segment(*self.runs[number])

    def _segment(self, start: int, end: int) -> Segment:
        size = (end - start) * PAGE_SIZE
        return Segment(start * PAGE_SIZE, size, self._memory.part(start * PAGE_SIZE, size))


class RunRanges(Sequence[Range]):
    """Each run as a memory range; a range is made on access."""

    def __init__(self, runs: PageRuns) -> None:
        self._runs = runs

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Range]:
        return (Range(start * PAGE_SIZE, end * PAGE_SIZE) for start, end in self._runs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and all(map(eq, self, other)) and len(self) == len(other)

    __hash__ = None  # type: ignore[assignment]  # as in every type that compares by content

    @overload
    def __getitem__(self, number: int) -> Range: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Range]: ...
    def __getitem__(self, number: int | slice) -> Range | Sequence[Range]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        start, end = self._runs[number]
        return Range(start * PAGE_SIZE, end * PAGE_SIZE)


class PagedDump(Dump):
    """A dump of single pages; its segments are the runs of pages."""

    segments: RunSegments

    @property
    def fallible(self) -> Sequence[Segment]:
        """Empty: runs ascend and have only whole pages that are in the dump."""
        return ()

    @property
    def left_out(self) -> Iterable[Range]:
        """Unknown unless the format tells: its runs are of pages that are there."""
        return ()

    @property
    def ascending(self) -> Iterable[Segment]:
        return self.segments

    @property
    def memory_map(self) -> Sequence[Range]:
        return RunRanges(self.segments.runs)

    @property
    def described(self) -> int:
        return self.segments.runs.count * PAGE_SIZE

    def data_ranges(self) -> Iterator[Range]:
        return iter(self.memory_map)

    def _segment_at(self, address: int) -> Segment | None:
        number = self.segments.runs.run_of(address // PAGE_SIZE)
        return None if number is None else self.segments[number]
