"""The partition table of a dump disk: one partition for the dump, and small ones before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from harness.errors import UsageError
from harness.images.command import Tools
from harness.s390x.zipl import BLOCK_SIZE

MIB = 1 << 20
NEIGHBOUR_SIZE = 16 * MIB
MOST = 15  # sda1 to sda15, as the original zfcpdump's ramdisk has them
_DOS_PRIMARY = 4  # the last primary number, which is an extended partition if there are more
_ID = "0x7a686172"
_DISK_GUID = "7A686172-6E65-7373-2064-756D70206469"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"  # GPT's type "Linux filesystem data" (UEFI 2.10)


class PartitionTable(StrEnum):
    """The kind of a partition table."""

    DOS = "dos"
    GPT = "gpt"


class Neighbour(StrEnum):
    """Where another partition is that has a file system: the first one, or the next one."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Placement:
    """Partition ``number`` of a table, which has nearly all of the disk.

    ``neighbour``: where a partition of 16 MiB for a file system is. It is a primary one.
    """

    number: int = 1
    table: PartitionTable = PartitionTable.DOS
    neighbour: Neighbour | None = None

    @property
    def fault(self) -> str | None:
        """Why there can be no such table; None if there can."""
        if self.neighbour is Neighbour.BEFORE and self.number == 1:
            return "no partition is before the first one"
        if self.neighbour is Neighbour.AFTER and self.number >= self._most_before_neighbour:
            return f"no such partition is after number {self.number} of a {self.table} table"
        return None

    @property
    def _most_before_neighbour(self) -> int:
        return _DOS_PRIMARY if self.table is PartitionTable.DOS else MOST

    @property
    def neighbour_number(self) -> int | None:
        """The number of the partition for a file system."""
        if self.neighbour is None:
            return None
        return 1 if self.neighbour is Neighbour.BEFORE else self.number + 1

    @property
    def is_plain(self) -> bool:
        """Whether it is the only partition of a DOS table."""
        return self == Placement()

    @property
    def start(self) -> int:
        """Where it begins, in bytes."""
        shift = NEIGHBOUR_SIZE - MIB if self._is_behind_neighbour else 0
        if self.table is PartitionTable.GPT or self.number <= _DOS_PRIMARY:
            return self.number * MIB + shift
        logical = self.number - _DOS_PRIMARY  # each has a MiB before it, with its own table
        return (_DOS_PRIMARY + 2 * logical - 1) * MIB + shift

    @property
    def _is_behind_neighbour(self) -> bool:
        return self.neighbour is Neighbour.BEFORE and self.number > 1

    def neighbour_start(self, disk: int) -> int:
        """Where the partition for a file system begins, on a disk of so many bytes."""
        return MIB if self._is_behind_neighbour else self.start + self.size(disk)

    def size(self, disk: int) -> int:
        """Its size in bytes, on a disk of so many bytes; a GPT has a copy at the disk's end."""
        return disk - self._behind - self.start

    @property
    def _behind(self) -> int:
        copy = MIB if self.table is PartitionTable.GPT else 0
        return copy + (NEIGHBOUR_SIZE if self.neighbour is Neighbour.AFTER else 0)

    @property
    def beside(self) -> int:
        """What the disk needs beside the partition, in bytes."""
        return self.start + self._behind

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
                start = replace(self, number=number).start
                lines.append(_line(number, start, size - start, "type=5"))
                continue
            place = replace(self, number=number)
            length = MIB if number < self.number else self.size(size)
            if number == 1 and self.neighbour is Neighbour.BEFORE:
                length = NEIGHBOUR_SIZE
            lines.append(_line(number, place.start, length, self._kind(number)))
        if self.neighbour is Neighbour.AFTER:
            number, start = self.number + 1, self.neighbour_start(size)
            lines.append(_line(number, start, NEIGHBOUR_SIZE, self._kind(number)))
        return "\n".join(lines) + "\n"

    def _kind(self, number: int) -> str:
        if self.table is PartitionTable.DOS:
            return "type=83"
        return f"type={_LINUX}, uuid={_DISK_GUID[:-2]}{number:02X}"


def _line(number: int, start: int, length: int, kind: str) -> str:
    return f"{number} : start={start // BLOCK_SIZE}, size={length // BLOCK_SIZE}, {kind}"
