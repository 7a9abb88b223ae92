"""Read the crashed memory into a buffer, from a file in which the kernel shows it."""

import mmap
import os

from .machine import PAGE, DumpError, say

WINDOW = 16 << 20  # bytes of the file that are mapped at a time


class ReadError(Exception):
    """The crashed memory cannot be read from this ``offset`` of the file on."""

    def __init__(self, offset, reason):
        super().__init__(offset, reason)
        self.offset, self.reason = offset, reason


class Buffer:
    """``size`` bytes, aligned to pages: a ``view`` of the file ``fd`` in the ramdisk.

    ``fd`` is None if the ramdisk has no room; then it is memory without a file.
    """

    def __init__(self, size, path="/buffer"):
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)
        try:
            # every page now: one that is missing later would end this program (SIGBUS)
            os.posix_fallocate(self.fd, 0, size)
        except OSError as error:
            say(f"the ramdisk has no room for a buffer of {size} bytes: {error}")
            os.close(self.fd)
            self.fd = None
        # never closed: an exception holds views of it, and to close it then would hide that
        self.view = memoryview(mmap.mmap(-1 if self.fd is None else self.fd, size))


class Source:
    """The file ``fd``: what is read from it comes into a Buffer.

    Once ``mapped`` is set the file is mapped in place of being read; only with a buffer that has a
    file. Linux reads each page of old
    memory through one page table entry, and invalidates that on all CPUs (IPTE; Linux 6.12
    arch/s390/mm/maccess.c, memcpy_real_iter). A map has an entry for each page.

    This program never touches the map. The kernel does, when the map is written to the buffer's
    file: so a page that is not there is an error of that write, and not the end of the program.
    """

    def __init__(self, fd):
        self.fd, self.mapped = fd, False
        self.window, self.start = b"", 0

    def pieces(self, offset, size, buffer, until=0):
        """The bytes from an offset on, in views of the buffer that are valid until the next one.

        What follows, up to ``until``, is wanted later: it is mapped, too.
        """
        end = offset + size
        while offset < end:
            wanted = min(len(buffer.view), end - offset)
            try:
                if self.mapped and not self.start <= offset < self.start + len(self.window):
                    self._map(offset, max(end, until))
                if self.mapped:
                    at = offset - self.start
                    got = os.pwrite(buffer.fd, memoryview(self.window)[at : at + wanted], 0)
                else:
                    got = os.preadv(self.fd, [buffer.view[:wanted]], offset)
            except OSError as error:
                raise ReadError(offset, error) from error
            if got == 0:
                raise DumpError(f"the crashed memory ends at {offset:#x}, before its headers say")
            yield buffer.view[:got]
            offset += got

    def _map(self, offset, end):
        self.window = b""  # one at a time
        self.start = offset - offset % PAGE
        size = min(WINDOW, end - self.start)
        try:
            self.window = mmap.mmap(
                self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=self.start
            )
        except (OSError, ValueError) as error:  # ValueError: the file is not so long
            say(f"the crashed memory is read, because it cannot be mapped: {error}")
            self.mapped = False
