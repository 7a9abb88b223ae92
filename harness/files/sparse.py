"""Sparse files: find their data, copy them, make digests."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HostError
from harness.host.fault import cannot_grow

CHUNK = 1 << 20
_NOT_WITHIN_KERNEL = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


def data_extents(fd: int, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """(offset, size) of each range of data between ``start`` and ``end`` (default: end of file).

    Between the ranges there are holes, which read as zeros. To find them takes no reading, and
    allocates nothing in a memory file. A block device has no holes.
    """
    position = start
    stop = os.fstat(fd).st_size if end is None else end
    while position < stop:
        try:
            data = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data behind this position
                return
            if error.errno != errno.EINVAL:
                raise
            yield position, stop - position
            return
        if data >= stop:
            return
        position = min(os.lseek(fd, data, os.SEEK_HOLE), stop)
        yield data, position - data


def copy(source: Path, target: Path) -> None:
    """Copy a file with its holes; ``target`` must not exist.

    Raises HostError if there is no space; ``target`` is then removed again.
    """
    with source.open("rb") as reader, target.open("xb") as writer:
        size = os.fstat(reader.fileno()).st_size
        try:
            os.ftruncate(writer.fileno(), size)
            for offset, length in data_extents(reader.fileno()):
                _copy_range(reader.fileno(), writer.fileno(), offset, length)
        except OSError as error:
            target.unlink()
            if not cannot_grow(error):
                raise
            raise HostError(
                f"no space left for {target} (up to {size} bytes)",
                hint="free some space, or choose another directory",
            ) from error


def copy_part(source: Path, start: int, size: int, target: Path) -> None:
    """Copy ``size`` bytes at ``start`` of ``source``, with holes, to the new file ``target``."""
    with source.open("rb") as reader, target.open("xb") as writer:
        os.ftruncate(writer.fileno(), size)
        for offset, length in data_extents(reader.fileno(), start, start + size):
            _move(reader.fileno(), offset, length, writer.fileno(), offset - start)


def put_part(source: Path, target: Path, start: int) -> None:
    """Copy all of ``source`` to ``start`` of ``target``, where its holes become zeros."""
    with source.open("rb") as reader, target.open("r+b") as writer:
        size = os.fstat(reader.fileno()).st_size
        done = 0
        for offset, length in data_extents(reader.fileno()):
            _zero(writer.fileno(), start + done, offset - done)
            _move(reader.fileno(), offset, length, writer.fileno(), start + offset)
            done = offset + length
        _zero(writer.fileno(), start + done, size - done)


def _move(source: int, offset: int, size: int, target: int, at: int) -> None:
    for done in range(0, size, CHUNK):
        os.pwrite(target, os.pread(source, min(CHUNK, size - done), offset + done), at + done)


def _zero(fd: int, start: int, size: int) -> None:
    """Write zeros over the data in a range; what is a hole stays one."""
    for offset, length in data_extents(fd, start, start + size):
        for done in range(0, length, CHUNK):
            os.pwrite(fd, bytes(min(CHUNK, length - done)), offset + done)


def digest(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's size and of every chunk that is not all zeros, by number.

    So holes cost nothing, and a copy with other holes has the same digest.
    """
    with path.open("rb") as file:
        hashed = Digest(os.fstat(file.fileno()).st_size)
        for number, chunk in chunks(file.fileno()):
            hashed.add(number, chunk)
    return hashed.hexdigest()


class Digest:
    """The :func:`digest` of a file of ``size`` bytes, whose chunks are told one after another."""

    def __init__(self, size: int) -> None:
        self._hashed = hashlib.sha256(size.to_bytes(8, "big"))

    def add(self, number: int, chunk: bytes) -> None:
        self._hashed.update(number.to_bytes(8, "big") + chunk)

    def hexdigest(self) -> str:
        return self._hashed.hexdigest()


def chunks(fd: int) -> Iterator[tuple[int, bytes]]:
    """(number, content) of each chunk of a file that is not all zeros, ascending.

    A chunk has 1 MiB, the last one of the file may have less.
    """
    zeros = bytes(CHUNK)
    beyond = 0  # the first chunk that was not yet read
    for offset, length in data_extents(fd):
        first, beyond = max(beyond, offset // CHUNK), -(-(offset + length) // CHUNK)
        for number in range(first, beyond):
            chunk = os.pread(fd, CHUNK, number * CHUNK)
            if chunk != zeros[: len(chunk)]:
                yield number, chunk


def digest_of(data: bytes) -> str:
    """The :func:`digest` of a file with this content."""
    hashed = hashlib.sha256(len(data).to_bytes(8, "big"))
    for number, at in enumerate(range(0, len(data), CHUNK)):
        chunk = data[at : at + CHUNK]
        if any(chunk):
            hashed.update(number.to_bytes(8, "big") + chunk)
    return hashed.hexdigest()


def _copy_range(source: int, target: int, offset: int, length: int) -> None:
    """Copy ``length`` bytes at ``offset``, inside the kernel if both files allow it."""
    done = 0
    while done < length:
        at = offset + done
        try:
            copied = os.copy_file_range(source, target, length - done, at, at)
        except OSError as error:
            if error.errno not in _NOT_WITHIN_KERNEL:
                raise
            copied = os.pwrite(target, os.pread(source, min(CHUNK, length - done), at), at)
        if copied == 0:  # the source has become shorter
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        done += copied
