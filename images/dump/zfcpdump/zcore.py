"""zcore/mem: the crashed system as the kernel shows it under CONFIG_ZFCPDUMP.

It is a stand-alone dump without its end marker: a header, then plain memory that already contains
the registers. Linux had this file up to 4.4 (``drivers/s390/char/zcore.c``).
"""

import os
import struct

from .machine import PAGE, DumpError, read_exactly
from .registers import PREFIX
from .source import Source
from .standalone import HEADER, MAGIC, PREFIXES_AT, StandAlone

_CPUS_AT = 0x5D


class ZcoreMem:
    """The file zcore/mem, of which the memory below ``limit``, or all, is dumped.

    ``limit`` is None if that is all of it.
    """

    may_map = False  # the kernel cannot

    def __init__(self, path, limit=None):
        fd = os.open(path, os.O_RDONLY)
        self.source = Source(fd)
        self.first_page = bytearray(read_exactly(fd, PAGE, 0))
        magic, _, header, _, page, self.memory_end, start, _, _, _, self.tod = HEADER.unpack_from(
            self.first_page
        )[:11]
        if magic != MAGIC:
            raise DumpError(f"{path} has magic {magic:#x}, not {MAGIC:#x}")
        if (header, page, start) != (PAGE, PAGE, 0):
            raise DumpError(
                f"{path} has a header of {header} bytes, pages of {page}, start {start:#x}"
            )
        self.limit = limit if limit is not None and limit < self.memory_end else None
        self.size = self.limit or self.memory_end

    @property
    def loads(self):
        """(offset in the file, absolute address, size), as of an ELF core file."""
        return [(PAGE, 0, self.size)]

    def memory(self):
        """(absolute address, size, offset in the file): one range."""
        return [(0, self.size, PAGE)]

    def place(self, offset):
        """What is at an offset in the file, in words."""
        return f"memory at {offset - PAGE:#x}"

    def read_memory(self, address, size):
        """None: no registers have to be put into memory, the kernel has done it."""
        return

    def cpus(self):
        """The prefix of each CPU."""
        (count,) = struct.unpack_from(">H", self.first_page, _CPUS_AT)
        for prefix in struct.unpack_from(f">{count}I", self.first_page, PREFIXES_AT):
            yield {PREFIX: struct.pack(">I", prefix)}


class CopyOfZcoreMem(StandAlone):
    """A form (see output.copy): zcore/mem as it is, with the end marker that it does not have."""

    def first_page(self):
        page, size = self.core.first_page, self.memory_size
        if size != self.core.memory_end:  # limited: memory size, start, end, pages
            struct.pack_into(">QQQI", page, 0x18, size, 0, size, size // PAGE)
        return page
