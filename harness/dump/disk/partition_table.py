"""Find the partitions of a disk image, as Linux would.

A disk image does not tell the size of the disk's sectors, and a partition table counts in them. A
GPT is at a place that depends on it. A DOS table is always at the disk's start, so what is at its
partitions has to tell.

Programs err here, too. Linux tells the start of a partition in 512 bytes whatever the sectors are
(``block/ioctl.c``, blkdev_getgeo). zipl took it for sectors until s390-tools 2.16.0 ("zipl: Fix
reading 4k disk's geometry", pull request 107): on disks with sectors of 4096 bytes its pointers
were eight times too far, so nothing could be loaded from them. ``zfcpdump/zfcpdump_part.c``
(find_part_num) still multiplies the start by the size of a sector. It refuses the dump partition of
such a disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from harness.dump.byte_source import ByteSource
from harness.dump.disk import gpt
from harness.dump.disk.dos_table import dos_table, protects_gpt
from harness.dump.disk.ext_files import begins_ext
from harness.dump.disk.partition import (
    FORCE_OPTION,
    Kind,
    Partition,
    Table,
)
from harness.dump.disk.zipl_superblock import find_superblock, program_table_at
from harness.errors import EvidenceError
from harness.s390x.zipl import SECTOR_SIZES


def read_table(disk: ByteSource, sector_size: int | None = None) -> Table | None:
    """The partition table of a disk; None if it has none, or no partition.

    ``sector_size`` in bytes is what the table counts in; None to find it out. Raises EvidenceError
    if nothing on the disk tells it, or if both sizes fit; or if a GPT is damaged in both places.
    """
    sizes = SECTOR_SIZES if sector_size is None else (sector_size,)
    tables = [table for size in sizes if (table := dos_table(disk, size)) is not None]
    if any(table.partitions for table in tables):
        return _by_evidence(disk, tables)
    return _gpt(disk, sizes)


def partition_numbered(disk: ByteSource, number: int, sector_size: int | None = None) -> Partition:
    """Partition ``number``, as far as it is on the disk.

    Raises EvidenceError if there is no table or no such partition; and what ``read_table`` raises.
    """
    table = read_table(disk, sector_size)
    if table is None:
        raise EvidenceError(f"{disk.name}: offset 510: no DOS partition table")
    of_table = {item.number: item for item in table.partitions}
    found = {item.number: item for item in table.on_disk(disk.size)}.get(number)
    if found is None:
        why = "there is no"
        if number in of_table:
            extended = of_table[number].kind is Kind.EXTENDED
            why = "only holds logical ones:" if extended else "begins behind the end of the disk:"
        raise EvidenceError(f"{disk.name}: {why} partition {number} ({_seen(table)})")
    return found


def partition_at(
    disk: ByteSource, start: int, size: int, sector_size: int | None = None
) -> tuple[Partition, Table] | None:
    """The one partition with this place, and its table, whatever the table counts in."""
    sizes = SECTOR_SIZES if sector_size is None else (sector_size,)
    found = [
        (partition, table)
        for table in _all_tables(disk, sizes)
        for partition in table.partitions
        if (partition.start, partition.size) == (start, size)
    ]
    return found[0] if len(found) == 1 else None


def lacks_partition_at(disk: ByteSource, start: int, size: int) -> bool:
    """Whether the disk has a partition table, but no partition with this place."""
    places = {
        (partition.start, partition.size)
        for table in _all_tables(disk, SECTOR_SIZES)
        for partition in table.partitions
    }
    return bool(places) and (start, size) not in places


def _seen(table: Table) -> str:
    names = ", ".join(item.name for item in table.partitions) or "none"
    return "; ".join((f"its {table.kind} partition table has {names}", *table.notes))


_GPTS = (gpt.primary, gpt.backup)  # the second one counts only if the first is damaged


def _all_tables(disk: ByteSource, sizes: Sequence[int]) -> Iterator[Table]:
    """Every sound table, in sectors of each size."""
    for size in sizes:
        dos = dos_table(disk, size)
        if dos is not None:
            yield dos
        sound = (table for read in _GPTS if isinstance(table := read(disk, size), Table))
        yield from islice(sound, 1)


def _gpt(disk: ByteSource, sizes: Sequence[int]) -> Table | None:
    if not protects_gpt(disk) and not any(gpt.has_header(disk, size) for size in sizes):
        return None
    wrong: list[str] = []
    for read in _GPTS:
        found = [read(disk, size) for size in sizes]
        sound = [table for table in found if isinstance(table, Table)]
        if len(sound) > 1:
            raise _both(disk, [(table, "a GPT is there") for table in sound])
        if not sound:
            wrong += [why for why in found if isinstance(why, str)]
            continue
        if not wrong:
            return sound[0]
        note = f"the backup at the disk's end: {_of(sound[0], sizes, found, wrong)}"
        return replace(sound[0], notes=(note, *sound[0].notes))
    raise EvidenceError(f"{disk.name}: its GPT is damaged: {'; '.join(dict.fromkeys(wrong))}")


def _of(
    table: Table, sizes: Sequence[int], found: Sequence[Table | str], wrong: Sequence[str]
) -> str:
    """What is wrong with the primary table that counts like ``table``."""
    return f"{wrong[found.index(table)]}; Linux takes it with the parameter gpt only"


def _by_evidence(disk: ByteSource, tables: Sequence[Table]) -> Table:
    """The table whose partitions are where it says."""
    if len(tables) == 1:
        return tables[0]
    evidence = ((table, next(_evidence(disk, table), None)) for table in tables)
    fitting = [(table, what) for table, what in evidence if what is not None]
    if len(fitting) == 1:
        return fitting[0][0]
    if fitting:
        raise _both(disk, fitting)
    count = max(len(table.partitions) for table in tables)
    raise EvidenceError(
        f"{disk.name}: a disk without a dump: no ext file system is at its {count} partitions, "
        f"counted in {_sizes(tables)} bytes ({FORCE_OPTION} decides which)"
    )


def _both(disk: ByteSource, fitting: Sequence[tuple[Table, str]]) -> EvidenceError:
    reasons = "; ".join(f"in {table.sector_size} bytes, {what}" for table, what in fitting)
    return EvidenceError(
        f"{disk.name}: its partition table fits in more than one way: counted {reasons} "
        f"({FORCE_OPTION} decides which)"
    )


def _sizes(tables: Sequence[Table]) -> str:
    return " or ".join(str(table.sector_size) for table in tables)


def _evidence(disk: ByteSource, table: Table) -> Iterator[str]:
    """What is at the places that only this way of counting gives."""
    superblock = find_superblock(disk)
    if superblock is not None:
        place = (superblock.part_start, superblock.part_size)
        for partition in table.partitions:
            if (partition.start, partition.size) == place:
                yield f"{partition.name} is the partition of the dump superblock"
    programs = program_table_at(disk, table.sector_size)
    if programs is not None:
        yield f"zipl's program table is at {programs:#x}"
    for partition in table.partitions:
        if partition.kind is Kind.LOGICAL:
            yield f"{partition.name} is a logical partition"
        if begins_ext(disk, partition.start, partition.size):
            yield f"{partition.name} begins with an ext file system"
