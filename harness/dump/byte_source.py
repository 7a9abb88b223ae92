"""Bytes with random access: a file, a part of one, or content that a format unpacks.

Read with pread, not mapped: a mapped file that becomes shorter kills the process that reads it.
"""

from __future__ import annotations

import os
import stat
from abc import abstractmethod
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Self

from harness.closing import Closing
from harness.errors import EvidenceError
from harness.files import sparse


class ByteSource(Closing):
    """``size`` bytes; ``name`` is what errors call them. A part closes the whole."""

    name: str
    size: int

    @abstractmethod
    def upto(self, at: int, size: int) -> bytes:
        """``size`` bytes from offset ``at`` on, fewer where the source ends before."""

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """(offset, size) of the ranges that may not be zero, ascending; the rest is holes."""
        stop = self.size if end is None else min(end, self.size)
        if start < stop:
            yield start, stop - start

    def read(self, at: int, size: int, what: str = "data") -> bytes:
        """All of ``size`` bytes; raises EvidenceError, saying ``what``, if they are not there."""
        data = self.upto(at, size)
        if len(data) < size:
            raise EvidenceError(
                f"{self.name}: truncated: {what} at offset {at:#x} needs {size} bytes, "
                f"only {len(data)} are there"
            )
        return data

    def part(self, start: int, size: int) -> ByteSource:
        """``size`` bytes from ``start`` on, or as many of them as there are."""
        return _Part(self, start, size)


class _Part(ByteSource):
    def __init__(self, whole: ByteSource, start: int, size: int) -> None:
        self._whole, self._start = whole, start
        self.name = whole.name
        self.size = max(0, min(size, whole.size - start))

    def upto(self, at: int, size: int) -> bytes:
        return self._whole.upto(self._start + at, max(0, min(size, self.size - at)))

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        stop = self.size if end is None else min(end, self.size)
        for at, size in self._whole.data_extents(self._start + start, self._start + stop):
            yield at - self._start, size

    def close(self) -> None:
        self._whole.close()

    def part(self, start: int, size: int) -> ByteSource:
        return _Part(self._whole, self._start + start, max(0, min(size, self.size - start)))


class Zeros(ByteSource):
    """``size`` zero bytes."""

    def __init__(self, size: int, name: str) -> None:
        self.size, self.name = size, name

    def upto(self, at: int, size: int) -> bytes:
        return bytes(max(0, min(size, self.size - at)))

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        return iter(())

    def close(self) -> None:
        pass


class File(ByteSource):
    """A regular file or a block device, open for reading; a context manager."""

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self.path, self.name, self.file = path, str(path), file
        self.size = file.seek(0, os.SEEK_END)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises EvidenceError, naming the file, if it cannot be read or is nothing to read."""
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise EvidenceError(f"{path}: is a directory, not a dump")
            if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):  # a FIFO would block
                raise EvidenceError(f"{path}: is neither a regular file nor a block device")
            return cls(path, path.open("rb"))
        except OSError as error:
            raise EvidenceError(f"{path}: {error.strerror}") from error

    def close(self) -> None:
        self.file.close()

    def upto(self, at: int, size: int) -> bytes:
        try:
            data = os.pread(self.file.fileno(), size, at)
            if len(data) == size or at + len(data) >= self.size:
                return data
            data = self._rest(data, at, size)
        except OverflowError as error:
            raise EvidenceError(f"{self.name}: no file has an offset {at:#x}") from error
        except OSError as error:
            raise EvidenceError(f"{self.name}: offset {at:#x}: {error.strerror}") from error
        if at + len(data) < min(at + size, self.size):
            self._require_whole()
        return data

    def _require_whole(self) -> None:
        """Raise EvidenceError if the file became shorter: lost data must not look like a hole."""
        size = self.file.seek(0, os.SEEK_END)  # unlike stat, also of a block device
        if size < self.size:
            raise EvidenceError(
                f"{self.name}: became shorter while it was read: it had {self.size} bytes, and has "
                f"{size}"
            )

    def _rest(self, data: bytes, at: int, size: int) -> bytes:
        """One pread returns at most 2 GiB - 4 KiB, and may be interrupted."""
        parts = [data]
        while parts[-1]:
            done = sum(map(len, parts))
            parts.append(os.pread(self.file.fileno(), size - done, at + done))
        return b"".join(parts)

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        stop = self.size if end is None else min(end, self.size)
        if start < stop:
            try:
                yield from sparse.data_extents(self.file.fileno(), start, stop)
            except OSError as error:
                raise EvidenceError(f"{self.name}: offset {start:#x}: {error.strerror}") from error
            self._require_whole()
