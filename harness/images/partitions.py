"""The partition table of a dump disk: one partition for the dump, and small ones before it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import UsageError
from harness.images.command import Tools
from harness.s390x.zipl import BLOCK_SIZE

MIB = 1 << 20
MOST = 15  # sda1 to sda15, as the original zfcpdump's ramdisk has them
_DOS_PRIMARY = 4  # the last primary number, which is an extended partition if there are more
_ID = "0x7a686172"
_DISK_GUID = "7A686172-6E65-7373-2064-756D70206469"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"  # GPT's type "Linux filesystem data" (UEFI 2.10)


class PartitionTable(StrEnum):
    """The kind of a partition table."""

    DOS = "dos"
    GPT = "gpt"


@dataclass(frozen=True)
class Placement:
    """Partition ``number`` of a table, which has nearly all of the disk."""

    number: int = 1
    table: PartitionTable = PartitionTable.DOS

    @property
    def is_plain(self) -> bool:
        """Whether it is the only partition of a DOS table."""
        return self == Placement()

    @property
    def start(self) -> int:
        """Where it begins, in bytes."""
        if self.table is PartitionTable.GPT or self.number <= _DOS_PRIMARY:
            return self.number * MIB
        logical = self.number - _DOS_PRIMARY  # each has a MiB before it, with its own table
        return (_DOS_PRIMARY + 2 * logical - 1) * MIB

    def size(self, disk: int) -> int:
        """Its size in bytes, on a disk of so many bytes; a GPT has a copy at the disk's end."""
        end = disk - MIB if self.table is PartitionTable.GPT else disk
        return end - self.start

    @property
    def beside(self) -> int:
        """What the disk needs beside the partition, in bytes."""
        return self.start + (MIB if self.table is PartitionTable.GPT else 0)

    def write(self, disk: Path, sector_size: int, tools: Tools) -> None:
        """Write the table to a disk image that has its size; raises UsageError, BuildError."""
        if sector_size != BLOCK_SIZE:
            raise UsageError(
                f"a disk with sectors of {sector_size} bytes can have only one partition here",
                hint="leave out dump.partition and dump.table",
            )
        tools.run(["sfdisk", "-q", "--no-reread", str(disk)], stdin=self._script(disk))

    def _script(self, disk: Path) -> str:
        """For sfdisk: numbers in sectors of 512 bytes."""
        gpt = self.table is PartitionTable.GPT
        lines = [f"label: {self.table}", f"label-id: {_DISK_GUID if gpt else _ID}", "unit: sectors"]
        lines += ["first-lba: 34"] if gpt else []
        size = disk.stat().st_size
        for number in range(1, self.number + 1):
            if not gpt and number == _DOS_PRIMARY < self.number:
                start, length, kind = number * MIB, size - number * MIB, "type=5"
                lines.append(_line(number, start, length, kind))
                continue
            place = Placement(number, self.table)
            length = MIB if number < self.number else self.size(size)
            kind = f"type={_LINUX}, uuid={_DISK_GUID[:-2]}{number:02X}" if gpt else "type=83"
            lines.append(_line(number, place.start, length, kind))
        return "\n".join(lines) + "\n"


def _line(number: int, start: int, length: int, kind: str) -> str:
    return f"{number} : start={start // BLOCK_SIZE}, size={length // BLOCK_SIZE}, {kind}"
