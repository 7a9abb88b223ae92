"""Partitions of a disk, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FORCE_OPTION = "--sector-size"
# of one disk, the disk itself included (Linux include/linux/genhd.h, DISK_MAX_PARTS)
LINUX_LIMIT = 256


class Kind(StrEnum):
    """What a partition is. ``EXTENDED`` only holds logical ones."""

    PRIMARY = "primary"
    EXTENDED = "extended"
    LOGICAL = "logical"
    GPT = "GPT"


class TableKind(StrEnum):
    """Which partition table a disk has."""

    DOS = "DOS"
    GPT = "GPT"


@dataclass(frozen=True, order=True)
class Partition:
    """Partition ``number``, counted as Linux counts; ``start`` and ``size`` in bytes."""

    number: int
    start: int
    size: int
    kind: Kind = Kind.PRIMARY

    @property
    def name(self) -> str:
        """Linux's name of it on the first SCSI disk."""
        return f"sda{self.number}"

    @property
    def place(self) -> str:
        """Its name, and where it begins."""
        return f"{self.name} at {self.start:#x}"


@dataclass(frozen=True)
class Table:
    """A partition table. It counts in sectors of ``sector_size`` bytes.

    A partition is as large as the table says, even if the disk ends before. ``notes`` tell what is
    wrong with the table, or seldom.
    """

    kind: TableKind
    sector_size: int
    partitions: tuple[Partition, ...]
    notes: tuple[str, ...] = ()

    def on_disk(self, size: int) -> tuple[Partition, ...]:
        """The partitions that can have data, without their parts behind a disk of ``size`` bytes.

        So does Linux (``block/partitions/core.c``, blk_add_partition).
        """
        return tuple(
            Partition(item.number, item.start, min(item.size, size - item.start), item.kind)
            for item in self.partitions
            if item.kind is not Kind.EXTENDED and item.start < size
        )

    @property
    def facts(self) -> dict[str, object]:
        """What ``dump info`` shows of it."""
        facts: dict[str, object] = {
            "partition_table": str(self.kind),
            "sector_size": self.sector_size,
        }
        return facts | ({"partition_table_notes": list(self.notes)} if self.notes else {})
