"""Guest memory as an anonymous file, shared with QEMU: in memory, or on a disk."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Self

from harness.closing import Closing
from harness.errors import EvidenceError, HostError
from harness.files.sparse import data_extents
from harness.host.fault import cannot_grow

CHUNK = 1 << 20
PAGE = 4096
# memory of QEMU itself and its translated code, beside the guest's memory
QEMU_OVERHEAD = 128 << 20

_ZERO_PAGE = bytes(PAGE)
_ZERO_CHUNK = bytes(CHUNK)
_MEMINFO = Path("/proc/meminfo")

# a context variable, because a run has several machines, and all of them or none are on the disk
_directory: ContextVar[Path | None] = ContextVar("directory", default=None)


@contextmanager
def memory_on_disk(directory: Path | None) -> Iterator[None]:
    """Within the block guest memory lies in files there, which have no name; None: in memory.

    Then the host's kernel can write out what is not used, and what the guest only reads takes
    nothing for long. So the machine may have more memory than the host.
    """
    token = _directory.set(directory)
    try:
        yield
    finally:
        _directory.reset(token)


class GuestRam(Closing):
    """``size`` bytes of absolute storage, zero at first; a context manager that frees it.

    ``fd`` is what QEMU maps too (``memory-backend-file,share=on``). Nothing of it has a name
    in a file system, so nothing is left behind however the process ends.
    """

    def __init__(self, size: int) -> None:
        if size <= 0 or size % PAGE:
            raise ValueError(f"guest memory of {size} bytes is not a number of pages")
        self.size = size
        self.fd = _anonymous_file()
        try:
            os.ftruncate(self.fd, size)
            self.map = mmap.mmap(self.fd, size)
        except BaseException:
            os.close(self.fd)
            raise

    @classmethod
    def create(cls, size: int, *, meminfo: Path = _MEMINFO) -> Self:
        """Empty memory of ``size`` bytes.

        ``meminfo`` is the kernel's file with the available memory. Raises HostError if that is less
        than the guest may use, unless it lies on a disk; or if no file can be made there.
        """
        if _directory.get() is None:
            _check_available(size, meminfo)
        return cls(size)

    @classmethod
    def from_image(cls, path: Path, *, meminfo: Path = _MEMINFO) -> Self:
        """A copy of the image file ``path``; holes stay holes.

        Raises HostError for too little memory, EvidenceError for a file that is no image.
        """
        try:
            image = path.open("rb")
        except OSError as error:
            raise EvidenceError(f"{path} cannot be read: {error.strerror}") from error
        with image:
            size = os.fstat(image.fileno()).st_size
            if size == 0 or size % PAGE:
                raise EvidenceError(
                    f"{path} is not a memory image: {size} bytes are not a number of pages"
                )
            ram = cls.create(size, meminfo=meminfo)
            try:
                ram._load(image.fileno(), path)
            except BaseException:
                ram.close()
                raise
        return ram

    def close(self) -> None:
        """Free the memory. A second call does nothing."""
        if not self.map.closed:
            self.map.close()
            os.close(self.fd)

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes at absolute ``address``. Raises ValueError outside of the memory."""
        self._check(address, size)
        return self.map[address : address + size]

    def write(self, address: int, data: bytes) -> None:
        """Store ``data`` at absolute ``address``. Raises ValueError outside of the memory."""
        self._check(address, len(data))
        self.map[address : address + len(data)] = data

    def fill(self, path: Path) -> None:
        """Load the image file ``path`` into this memory, which is still empty.

        Raises EvidenceError if it cannot be read or has another size.
        """
        try:
            image = path.open("rb")
        except OSError as error:
            raise EvidenceError(f"{path} cannot be read: {error.strerror}") from error
        with image:
            size = os.fstat(image.fileno()).st_size
            if size != self.size:
                raise EvidenceError(f"{path}: {size} bytes, but the machine has {self.size}")
            self._load(image.fileno(), path)

    def save(self, path: Path) -> None:
        """Write an image to the new file ``path``, with holes where memory is zero.

        Raises HostError if the file system is full. An incomplete file is removed again.
        """
        try:
            with path.open("xb") as image:
                try:
                    os.ftruncate(image.fileno(), self.size)
                    for start, end in self._nonzero():
                        self._store(image.fileno(), start, end)
                except BaseException:
                    path.unlink()
                    raise
        except OSError as error:
            if not cannot_grow(error):
                raise HostError(f"{path} cannot be written: {error.strerror}") from error
            needed = sum(end - start for start, end in self._nonzero())
            raise HostError(
                f"no space left for {path}: it needs {needed} bytes",
                hint="free some space, or choose another directory",
            ) from error

    def _check(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.size:
            raise ValueError(
                f"{size} bytes at {address:#x} are not in a memory of {self.size:#x} bytes"
            )

    def _load(self, image: int, path: Path) -> None:
        with memoryview(self.map) as view:
            for offset, length in data_extents(image):
                done = 0
                while done < length:
                    at = offset + done
                    with view[at : at + min(CHUNK, length - done)] as chunk:
                        got = os.preadv(image, [chunk], at)
                    if got == 0:
                        raise EvidenceError(f"{path} became shorter while it was read")
                    done += got

    def _store(self, image: int, start: int, end: int) -> None:
        with memoryview(self.map) as view:
            while start < end:
                with view[start:end] as piece:
                    start += os.pwrite(image, piece, start)

    def _nonzero(self) -> Iterator[tuple[int, int]]:
        """(start, end) of runs of pages that are not all zero, none longer than a chunk.

        Holes are not touched: to read them through the mapping would allocate them.
        """
        for offset, length in data_extents(self.fd):
            for at in range(offset, offset + length, CHUNK):
                chunk = self.map[at : at + min(CHUNK, offset + length - at)]
                for start, end in _nonzero_pages(chunk):
                    yield at + start, at + end


def _anonymous_file() -> int:
    directory = _directory.get()
    if directory is None:
        return os.memfd_create("guest-ram", os.MFD_CLOEXEC)
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            return os.dup(file.fileno())
    except OSError as error:
        raise HostError(
            f"no file for guest memory can be made in {directory}: {error.strerror}",
            hint="name another place with --store or ZHARNESS_STORE",
        ) from error


def _nonzero_pages(chunk: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of runs of pages in ``chunk`` that are not all zero."""
    if chunk == _ZERO_CHUNK:
        return
    start: int | None = None
    for at in range(0, len(chunk), PAGE):
        if chunk.startswith(_ZERO_PAGE, at):
            if start is not None:
                yield start, at
                start = None
        elif start is None:
            start = at
    if start is not None:
        yield start, len(chunk)


def _check_available(size: int, meminfo: Path) -> None:
    available = _available(meminfo)
    needed = size + QEMU_OVERHEAD
    if needed > available:
        raise HostError(
            f"a guest of {size >> 20} MiB needs {needed >> 20} MiB of free memory, "
            f"this host has {available >> 20} MiB",
            hint="choose a smaller --memory, or end other programs",
        )


def _available(meminfo: Path) -> int:
    """Bytes that programs can still get (proc_meminfo(5): MemAvailable)."""
    for line in meminfo.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    raise HostError(f"{meminfo} does not tell MemAvailable")
