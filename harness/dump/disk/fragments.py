"""Put content together from pieces: blocks of a file on a disk, or records of a flattened dump."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from harness.dump.byte_source import ByteSource
from harness.errors import EvidenceError


class Piece(NamedTuple):
    """``size`` bytes at offset ``at`` of the content, and at ``source`` in the whole."""

    at: int
    size: int
    source: int


class FragmentedSource(ByteSource):
    """``size`` bytes put together from ``pieces`` of ``whole``; bytes of no piece read as zero.

    Raises EvidenceError if pieces overlap.
    """

    def __init__(self, whole: ByteSource, pieces: Iterable[Piece], size: int, name: str) -> None:
        self._whole, self.size, self.name = whole, size, name
        # three arrays: a flattened dump has millions of pieces
        self._at, self._size, self._source = array("Q"), array("Q"), array("Q")
        end = 0
        for piece in sorted(pieces):
            if piece.at < end:
                raise EvidenceError(f"{name}: offset {piece.at:#x} is in two places at once")
            end = piece.at + piece.size
            self._at.append(piece.at)
            self._size.append(piece.size)
            self._source.append(piece.source)

    def upto(self, at: int, size: int) -> bytes:
        parts, end = [], min(at + size, self.size)
        for piece in self._pieces(at, end):
            start, stop = max(at, piece.at), min(end, piece.at + piece.size)
            parts.append(bytes(start - at))
            data = self._whole.upto(piece.source + start - piece.at, stop - start)
            parts.append(data)
            at = start + len(data)
            if at < stop:  # the whole is truncated
                return b"".join(parts)
        parts.append(bytes(max(0, end - at)))
        return b"".join(parts)

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        stop = self.size if end is None else min(end, self.size)
        for piece in self._pieces(start, stop):
            first = piece.source + max(start, piece.at) - piece.at
            last = piece.source + min(stop, piece.at + piece.size) - piece.at
            for at, size in self._whole.data_extents(first, last):
                yield at - piece.source + piece.at, size

    def close(self) -> None:
        self._whole.close()

    def _pieces(self, start: int, end: int) -> Iterator[Piece]:
        """The pieces that overlap ``start`` to ``end``, ascending."""
        for index in range(max(0, bisect_right(self._at, start) - 1), len(self._at)):
            piece = Piece(self._at[index], self._size[index], self._source[index])
            if piece.at >= end:
                return
            if piece.at + piece.size > start:
                yield piece


def last_wins(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """``pieces`` without the parts that later pieces overwrote; given in the order of writing."""
    waiting = sorted(((-order, piece) for order, piece in enumerate(pieces)), key=lambda w: w[1].at)
    edges = sorted({edge for _, item in waiting for edge in (item.at, item.at + item.size)})
    written: list[tuple[int, Piece]] = []  # a heap, the last one written first
    done = 0
    for start, end in pairwise(edges):
        while done < len(waiting) and waiting[done][1].at <= start:
            heapq.heappush(written, waiting[done])
            done += 1
        while written and written[0][1].at + written[0][1].size <= start:
            heapq.heappop(written)
        if written:
            piece = written[0][1]
            yield Piece(start, end - start, piece.source + start - piece.at)
