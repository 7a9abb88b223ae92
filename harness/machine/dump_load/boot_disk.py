"""Let QEMU's boot firmware read a dump disk.

``s390-ccw.img`` loads only component tables of type 0 (IPL); ``zipl -d`` writes type 1 (dump).
A real machine's loader takes both. So the byte is 0 while the firmware reads, and is restored at
the kernel entry, before the dump system can see the disk. (QEMU 10.0
``pc-bios/s390-ccw/bootmap.c``, ``zipl_run``; s390-tools ``zipl/src/bootmap.c``.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.errors import NotLoaded
from harness.s390x.layouts.c_zipl import c_zipl
from harness.s390x.zipl import (
    BLOCK_SIZE,
    COMPONENT_DUMP,
    COMPONENT_IPL,
    MAGIC,
)

_TYPE_OFFSET = len(MAGIC)


class BootDisk:
    """The component tables of one raw disk image that zipl prepared.

    zipl's pointers count in sectors of the disk, of ``sector_size`` bytes.
    """

    def __init__(self, path: Path, sector_size: int = BLOCK_SIZE) -> None:
        self.path, self._sector_size = path, sector_size
        self._dump_tables = tuple(self._find_dump_tables())

    def show_as_ipl(self) -> None:
        """Present dump component tables as ordinary ones."""
        self._set(COMPONENT_IPL)

    def show_as_written(self) -> None:
        """Undo :meth:`show_as_ipl`."""
        self._set(COMPONENT_DUMP)

    def _set(self, component_type: int) -> None:
        with self.path.open("r+b") as disk:
            for table in self._dump_tables:
                # in place, so that QEMU's raw driver sees the change
                os.pwrite(disk.fileno(), bytes([component_type]), table + _TYPE_OFFSET)

    def _find_dump_tables(self) -> Iterator[int]:
        size = self._sector_size
        with self.path.open("rb") as disk:

            def block(number: int) -> bytes:
                return os.pread(disk.fileno(), size, number * size)

            mbr = block(0)
            if mbr[: len(MAGIC)] != MAGIC:
                raise NotLoaded(f"{self.path}: no zIPL boot record in block 0")
            programs = block(c_zipl.scsi_mbr(mbr).program_table_pointer.blockno)
            if programs[: len(MAGIC)] != MAGIC:
                raise NotLoaded(f"{self.path}: the boot record points to no program table")
            entry_size = len(c_zipl.scsi_blockptr)
            for at in range(entry_size, size, entry_size):
                number = c_zipl.scsi_blockptr(programs[at : at + entry_size]).blockno
                table = block(number) if number else b""
                if table[: len(MAGIC)] == MAGIC and table[_TYPE_OFFSET] == COMPONENT_DUMP:
                    yield number * size
