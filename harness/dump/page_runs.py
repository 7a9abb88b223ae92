"""Which pages a dump has, when it has them here and there: runs of page numbers."""

from __future__ import annotations

import re
from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import overload

from harness.dump.content import Content
from harness.dump.reader import PAGE, Segment

_CHUNK = 1 << 20
_SET_BITS = re.compile(rb"\xff+|[^\x00\xff]")


class PageRuns:
    """Ascending runs of page numbers, in arrays: a filtered dump may have a million of them."""

    def __init__(self) -> None:
        self._start, self._end, self._before = array("Q"), array("Q"), array("Q")
        self.count = 0  # of pages

    def __len__(self) -> int:
        return len(self._start)

    def __getitem__(self, number: int) -> tuple[int, int]:
        """First page of a run, and the one behind its last."""
        return self._start[number], self._end[number]

    def add(self, start: int, end: int) -> None:
        """Pages from ``start`` up to but not including ``end``, which follow all others."""
        if self._end and self._end[-1] == start:
            self._end[-1] = end
        else:
            self._start.append(start)
            self._end.append(end)
            self._before.append(self.count)
        self.count += end - start

    def run_of(self, page: int) -> int | None:
        """The number of the run that has ``page``; None if none has."""
        number = bisect_right(self._start, page) - 1
        return number if number >= 0 and page < self._end[number] else None

    def index_of(self, page: int) -> int | None:
        """How many pages come before ``page``; None if it is in no run."""
        number = self.run_of(page)
        return None if number is None else self._before[number] + page - self._start[number]


def runs_in_bitmap(content: Content, start: int, size: int, pages: int) -> PageRuns:
    """The bits that are set in a bitmap of ``size`` bytes, the lowest bit of a byte first.

    Bits from ``pages`` on do not count. Raises EvidenceError if the bitmap is not all there.
    """
    runs = PageRuns()
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


class PagedMemory(Content):
    """Memory from absolute address 0 on, which can be had a page at a time."""

    def __init__(self, content: Content, pages: int) -> None:
        self._content, self.name, self.size = content, content.name, pages * PAGE
        self._last: tuple[int, bytes] = (-1, b"")

    @abstractmethod
    def page(self, number: int) -> bytes:
        """One page; raises EvidenceError if it is not there."""

    def upto(self, at: int, size: int) -> bytes:
        parts, end = [], min(at + size, self.size)
        while at < end:
            number, offset = divmod(at, PAGE)
            if number != self._last[0]:
                self._last = number, self.page(number)
            parts.append(self._last[1][offset : offset + end - at])
            at += len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        self._content.close()


class RunSegments(Sequence[Segment]):
    """Each run as a segment of ``memory``, whose offsets are absolute addresses."""

    def __init__(self, runs: PageRuns, memory: Content) -> None:
        self._runs, self._memory = runs, memory

    def __len__(self) -> int:
        return len(self._runs)

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Segment]: ...
    def __getitem__(self, number: int | slice) -> Segment | Sequence[Segment]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        start, end = self._runs[number]
        size = (end - start) * PAGE
        return Segment(start * PAGE, size, self._memory.part(start * PAGE, size))
