"""Unpack a kernel image as it does at boot, piece by piece: few bytes may become gigabytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from harness.limits import exceeded, limits

_PIECE = 1 << 20
# memory that xz may use; a kernel's dictionary has up to 128 MiB (scripts/xz_wrap.sh)
_XZ_MEMORY = 192 << 20
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


class _Unpacker(Protocol):
    """The interface of the decompressors of lzma and bz2."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: memoryview, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor, which must be given its unused input again."""

    def __init__(self) -> None:
        self._unpacker, self._rest = zlib.decompressobj(31), b""

    @property
    def eof(self) -> bool:
        return self._unpacker.eof

    @property
    def needs_input(self) -> bool:
        return not self._rest

    def decompress(self, data: memoryview, max_length: int) -> bytes:
        piece = self._unpacker.decompress(self._rest or data, max_length)
        self._rest = self._unpacker.unconsumed_tail
        return piece


# the first bytes of a payload, and its decompressor
_UNPACKERS: dict[bytes, Callable[[], _Unpacker]] = {
    b"\x1f\x8b\x08": _Gzip,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
    b"BZh": bz2.BZ2Decompressor,
}


class Reader(Protocol):
    """A reader of unpacked content."""

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""


R = TypeVar("R", bound=Reader)


def unpacked(image: bytes, first: int, name: str, reader: Callable[[], R]) -> Iterator[R]:
    """A new ``reader`` for the unpacked content of each payload from offset ``first`` on.

    Payloads that are damaged, or too small for a kernel, are left out. Raises LimitError, with
    ``name``, if there is more content than in any kernel.
    """
    room = limits().kernel_unpacked
    for start, unpacker in _payloads(image, first, name):
        found, size = reader(), 0
        try:
            for piece in _pieces(memoryview(image)[start:], unpacker):
                size += len(piece)
                if size > room:
                    what = "is compressed and unpacks to more bytes"
                    raise exceeded(name, what, limits().kernel_unpacked)
                found.feed(piece)
        except _DAMAGED:
            continue
        finally:
            room -= size
        if size > len(image) // 2:
            yield found


def _payloads(image: bytes, first: int, name: str) -> Iterator[tuple[int, _Unpacker]]:
    """Each place where a payload could begin."""
    count = 0
    for magic, unpacker in _UNPACKERS.items():
        start = image.find(magic, first)
        while start >= 0:
            count += 1
            if count > limits().kernel_payloads:
                what = "has more places that look like a compressed kernel"
                raise exceeded(name, what, limits().kernel_payloads)
            yield start, unpacker()
            start = image.find(magic, start + 1)


def _pieces(data: memoryview, unpacker: _Unpacker) -> Iterator[bytes]:
    at = 0
    while not unpacker.eof:
        taken = data[at : at + _PIECE] if unpacker.needs_input else data[:0]
        at += len(taken)
        piece = unpacker.decompress(taken, _PIECE)
        if not piece and not taken:
            return  # truncated
        yield piece


class Holds:
    """Whether ``wanted`` is in the content: ``found``."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted, self._tail, self.found = wanted, b"", False

    def feed(self, piece: bytes) -> None:
        data = self._tail + piece
        self.found = self.found or self._wanted in data
        self._tail = data[max(0, len(data) - len(self._wanted) + 1) :]


class Between:
    """The content between two marks: ``found``, up to ``most`` bytes; None if there is none."""

    def __init__(self, start: bytes, end: bytes, most: int) -> None:
        self._start, self._end, self._most = start, end, most
        self._data, self._begun = b"", False
        self.found: bytes | None = None

    def feed(self, piece: bytes) -> None:
        if self.found is not None:
            return
        self._data += piece
        if not self._begun:
            at = self._data.find(self._start)
            self._begun = at >= 0
            kept = at + len(self._start) if self._begun else len(self._data) - len(self._start) + 1
            self._data = self._data[max(0, kept) :]
        if self._begun:
            end = self._data.find(self._end)
            if end >= 0:
                self.found = self._data[:end]
            elif len(self._data) > self._most:
                self._data, self._begun = b"", False
