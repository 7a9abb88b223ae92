"""Let QEMU's boot firmware read a dump disk.

``s390-ccw.img`` loads only component tables of type 0 (IPL); ``zipl -d`` writes type 1 (dump).
A real machine's loader takes both. So the byte is 0 while the firmware reads, and is restored at
the kernel entry, before the dump system can see the disk. (QEMU 10.0
``pc-bios/s390-ccw/bootmap.c``, ``zipl_run``; s390-tools ``zipl/src/bootmap.c``.)

It also reads the boot record in block 0 only, whatever the IPL parameter block says (``br_lba``).
So the asked one is in block 0 meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.errors import NotLoaded
from harness.s390x.ipl import DEFAULT_PARAMETERS, LoadParameters
from harness.s390x.layouts.c_zipl import c_zipl
from harness.s390x.zipl import (
    BLOCK_SIZE,
    COMPONENT_DUMP,
    COMPONENT_IPL,
    MAGIC,
)

_TYPE_OFFSET = len(MAGIC)
_MOST_PROGRAMS = 31  # QEMU pc-bios/s390-ccw/s390-ccw.h, MAX_BOOT_ENTRIES


class BootDisk:
    """The component tables of one raw disk image that zipl prepared.

    zipl's pointers count in sectors of the disk, of ``sector_size`` bytes. ``parameters`` say which
    boot record and which program are loaded. Raises NotLoaded if the disk does not have them.
    """

    def __init__(
        self,
        path: Path,
        sector_size: int = BLOCK_SIZE,
        parameters: LoadParameters = DEFAULT_PARAMETERS,
    ) -> None:
        self.path, self._sector_size, self._parameters = path, sector_size, parameters
        self._first, self._record = self._block(0), self._block(parameters.br_lba)
        self._dump_tables = tuple(self._find_dump_tables())

    def show_as_ipl(self) -> None:
        """Present dump component tables as ordinary ones, and the boot record in block 0."""
        self._set(COMPONENT_IPL, self._record)

    def show_as_written(self) -> None:
        """Undo :meth:`show_as_ipl`."""
        self._set(COMPONENT_DUMP, self._first)

    def _block(self, number: int) -> bytes:
        """A block of the disk; empty if the disk ends before it."""
        size = self._sector_size
        with self.path.open("rb") as disk:
            end = os.fstat(disk.fileno()).st_size
            return os.pread(disk.fileno(), size, number * size) if number * size < end else b""

    def _set(self, component_type: int, first: bytes) -> None:
        with self.path.open("r+b") as disk:
            if self._first != self._record:
                os.pwrite(disk.fileno(), first, 0)
            for table in self._dump_tables:
                # in place, so that QEMU's raw driver sees the change
                os.pwrite(disk.fileno(), bytes([component_type]), table + _TYPE_OFFSET)

    def _find_dump_tables(self) -> Iterator[int]:
        size, parameters = self._sector_size, self._parameters
        if self._record[: len(MAGIC)] != MAGIC:
            raise NotLoaded(f"{self.path}: no zIPL boot record in block {parameters.br_lba}")
        programs = self._block(c_zipl.scsi_mbr(self._record).program_table_pointer.blockno)
        if programs[: len(MAGIC)] != MAGIC:
            raise NotLoaded(f"{self.path}: the boot record points to no program table")
        entry_size = len(c_zipl.scsi_blockptr)
        starts = [
            c_zipl.scsi_blockptr(programs[at : at + entry_size]).blockno
            for at in range(entry_size, size, entry_size)
        ]
        if parameters.bootprog and parameters.bootprog not in _programs(starts):
            there = ", ".join(map(str, _programs(starts))) or "none"
            raise NotLoaded(
                f"{self.path}: no boot program {parameters.bootprog}: the program table has {there}"
            )
        for number in starts:
            table = self._block(number) if number else b""
            if table[: len(MAGIC)] == MAGIC and table[_TYPE_OFFSET] == COMPONENT_DUMP:
                yield number * size


def _programs(starts: list[int]) -> list[int]:
    """The numbers of the programs that the firmware can load."""
    return [number for number, start in enumerate(starts[:_MOST_PROGRAMS]) if start]
