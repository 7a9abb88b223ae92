"""DOS partition tables, with logical partitions. They are numbered as Linux does it.

The first sector has four entries, for partitions 1 to 4. One of them may be extended: it holds a
chain of sectors that have such a table each. A table of the chain has an entry for a logical
partition, from number 5 on, and an entry of extended type for the next table.

Reference: Linux ``block/partitions/msdos.c`` (msdos_partition, parse_extended).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.dump.byte_source import ByteSource
from harness.dump.disk.c_disk import (
    DOS_BOOT_INDICATORS,
    DOS_EXTENDED,
    DOS_GPT,
    DOS_PARTITIONS,
    DOS_SIGNATURE,
    c_disk,
)
from harness.dump.disk.partition import LINUX_LIMIT, Kind, Partition, Table, TableKind

SIZE = len(c_disk.dos_mbr)
FIRST_LOGICAL = DOS_PARTITIONS + 1
_Entries = tuple["c_disk.dos_mbr.dos_entry", ...]


def entries_at(disk: ByteSource, offset: int) -> _Entries:
    """The four entries of the table at byte ``offset``; () if there is no table."""
    sector = disk.upto(offset, SIZE)
    if len(sector) < SIZE or not sector.endswith(DOS_SIGNATURE):
        return ()
    return tuple(c_disk.dos_mbr(sector).partitions)


def protects_gpt(disk: ByteSource) -> bool:
    """Whether an entry says that the disk has a GPT: then Linux takes no DOS partition."""
    return any(entry.os_type == DOS_GPT for entry in entries_at(disk, 0))


def dos_table(disk: ByteSource, sector_size: int) -> Table | None:
    """The table in the first sector, counted in sectors of ``sector_size`` bytes; None without.

    As for Linux, it is none if it protects a GPT, or has a boot indicator that is not valid, as the
    boot sector of a FAT file system has.
    """
    entries = entries_at(disk, 0)
    indicators = {entry.boot_indicator for entry in entries}
    if not entries or protects_gpt(disk) or not indicators <= set(DOS_BOOT_INDICATORS):
        return None
    chain = _Chain(disk, sector_size)
    found = list(_primary(entries, sector_size))
    for partition in found[:]:
        if partition.kind is Kind.EXTENDED:
            chain.follow(partition)
    return Table(TableKind.DOS, sector_size, (*found, *chain.found), tuple(chain.notes))


def _primary(entries: _Entries, sector_size: int) -> Iterator[Partition]:
    for number, entry in enumerate(entries, 1):
        if entry.size_in_lba:
            kind = Kind.EXTENDED if entry.os_type in DOS_EXTENDED else Kind.PRIMARY
            start, size = entry.starting_lba * sector_size, entry.size_in_lba * sector_size
            yield Partition(number, start, size, kind)


@dataclass
class _Chain:
    """The logical partitions that were found, and why the chain ended if it is not sound."""

    disk: ByteSource
    sector_size: int
    found: list[Partition] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _two_links: bool = False

    def follow(self, extended: Partition) -> None:
        """Go through the tables in ``extended``; each table is read once."""
        seen: set[int] = set()
        table, size = extended.start, extended.size
        while True:
            entries = entries_at(self.disk, table)
            if trouble := self._trouble(extended, table, seen, entries):
                self.notes.append(f"the chain of logical partitions in {extended.name} {trouble}")
                return
            seen.add(table)
            self.found += self._logical(extended, table, size, entries)
            links = [
                entry for entry in entries if entry.size_in_lba and entry.os_type in DOS_EXTENDED
            ]
            if not links:
                return
            if len(links) > 1 and not self._two_links:
                self._two_links = True  # told once: there may be hundreds
                self.notes.append(f"the table at {table:#x} has two links, Linux takes the first")
            table = extended.start + links[0].starting_lba * self.sector_size
            size = links[0].size_in_lba * self.sector_size

    def _trouble(
        self,
        extended: Partition,
        table: int,
        seen: set[int],
        entries: _Entries,
    ) -> str | None:
        """Why the chain ends at ``table``; None if that has more partitions."""
        if table in seen:
            return f"comes back to {table:#x}"
        if table >= self.disk.size:
            return f"leaves the disk: {table:#x} is behind its end at {self.disk.size:#x}"
        if not entries:
            return f"ends at {table:#x}, where no table is"
        if FIRST_LOGICAL + len(self.found) >= LINUX_LIMIT or len(seen) >= LINUX_LIMIT:
            return f"has more partitions than Linux takes of one disk, {LINUX_LIMIT - 1}"
        return None

    def _logical(
        self, extended: Partition, table: int, size: int, entries: _Entries
    ) -> Iterator[Partition]:
        """The partitions of one table, as many as Linux has numbers for."""
        number = FIRST_LOGICAL + len(self.found)
        for slot, entry in enumerate(entries):
            if not entry.size_in_lba or entry.os_type in DOS_EXTENDED or number >= LINUX_LIMIT:
                continue
            offset, length = (
                entry.starting_lba * self.sector_size,
                entry.size_in_lba * self.sector_size,
            )
            start = table + offset
            inside = offset + length <= size and start + length <= extended.start + extended.size
            if slot < 2 or inside:  # the other two slots may hold anything
                yield Partition(number, start, length, Kind.LOGICAL)
                number += 1
