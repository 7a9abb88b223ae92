"""Writing files that are holes where their content is zero."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from harness.dump.byte_source import ByteSource
from harness.errors import HostError
from harness.host.fault import cannot_grow
from harness.progress import Progress
from harness.s390x.lowcore import PAGE_SIZE

CHUNK = 1 << 20
_LARGEST = (1 << 63) - 1  # off_t
_ZERO_PAGE = bytes(PAGE_SIZE)


class SparseFile:
    """A new file of ``size`` bytes, all hole at first; whole zero pages are never written."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        if size > _LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        os.ftruncate(fd, size)

    @classmethod
    @contextmanager
    def create(cls, path: Path, size: int) -> Iterator[Self]:
        """Open for the length of a ``with`` block; removed again if that ends badly.

        Raises HostError if the file cannot be written or there is no space for it.
        """
        try:
            with path.open("xb", buffering=0) as file:
                try:
                    yield cls(file.fileno(), size)
                except BaseException:
                    path.unlink()
                    raise
        except OSError as error:
            if not cannot_grow(error):
                raise HostError(f"{path} cannot be written: {error.strerror}") from error
            raise HostError(
                f"no space left for {path} (up to {size} bytes)",
                hint="free some space, or choose another directory",
            ) from error

    def write(self, offset: int, data: bytes) -> None:
        """Store ``data`` at ``offset``, except for its zero pages."""
        for start, end in nonzero_runs(data):
            view = memoryview(data)[start:end]
            while view:
                done = os.pwrite(self._fd, view, offset + start)
                start += done
                view = view[done:]


def copy_content(content: ByteSource, target: Path, progress: Progress) -> None:
    """All of ``content`` as a new file, zero pages as holes.

    Raises EvidenceError if it is shorter than it says, HostError as ``SparseFile.create``.
    """
    with (
        progress.task("copy it out of the disk image", content.size, "B") as task,
        SparseFile.create(target, content.size) as file,
    ):
        for offset, length in content.data_extents():
            for at in range(offset, offset + length, CHUNK):
                file.write(at, content.read(at, min(CHUNK, offset + length - at)))
                task.update(at)
        task.update(content.size)


def nonzero_runs(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of runs of pages in ``data`` that are not all zero; the last may be short."""
    if data.count(0) == len(data):
        return
    start: int | None = None
    for at in range(0, len(data), PAGE_SIZE):
        if data[at : at + PAGE_SIZE] == _ZERO_PAGE[: len(data) - at]:
            if start is not None:
                yield start, at
                start = None
        elif start is None:
            start = at
    if start is not None:
        yield start, len(data)
