"""Find a dump within a disk image, a partition or a file system, by its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from harness.dump.byte_source import ByteSource, File
from harness.dump.disk.debugfs import CpuTime
from harness.dump.disk.ext_files import ExtFile, FileSystem, is_ext
from harness.dump.disk.ngdump import META, Meta, find_named, read_meta
from harness.dump.disk.partition import Partition, Table
from harness.dump.disk.partition_table import partition_at, read_table
from harness.dump.disk.zipl_superblock import (
    Superblock,
    is_dump_disk,
    superblock_of_disk,
    superblock_of_partition,
)
from harness.errors import EvidenceError
from harness.limits import limits, require
from harness.s390x.zipl import DUMP_SB_MAGIC

_MEMBER_OPTION = "--member"
_LARGEST_CHECKSUMMED = 1 << 20  # bytes; zipl and zfcpdump say 4096
_NAMED = 8  # files in one message, and file systems with files


class Wanted(NamedTuple):
    """Which dump is wanted.

    ``member`` is the path of a file in a file system. Without it the dump is that of a dump
    partition, the file that ngdump.meta names, or the newest dump.N in the root directory.
    ``sector_size`` in bytes is what the disk's partition table counts in; None to find it out.
    """

    member: str | None = None
    sector_size: int | None = None


class Found(NamedTuple):
    """The place of a dump; ``content`` is the dump, ``facts`` come from the data around it."""

    content: ByteSource
    where: str
    facts: Mapping[str, object]


def find(file: File, wanted: Wanted) -> Found | None:
    """The place of the dump in ``file``; None if that is no disk, partition or file system.

    The content of the place is not checked. Raises EvidenceError for a disk without a dump,
    HostError if debugfs is missing.
    """
    if is_dump_disk(file) and wanted.member is None:
        return _on_dump_disk(file, wanted.sector_size)
    # a file system does not use its first sectors; a boot record there may look like a table
    if is_ext(file):
        return _Search(file, wanted.member).among((_Place(0, file.size, "an ext file system"),))
    table = read_table(file, wanted.sector_size)
    if table is None:
        return None
    places = tuple(
        _Place(item.start, item.size, f"{item.place} of a disk", item, table)
        for item in table.on_disk(file.size)
    )
    return _Search(file, wanted.member, table.notes).among(places)


def surroundings(file: File, length: int) -> Found | None:
    """Like ``find`` for a file that begins with a dump of ``length`` bytes: its partition."""
    found = superblock_of_partition(file)
    if found is None:
        return None
    superblock = found.superblock
    fits = superblock.dump_offset == 0 and length <= superblock.dump_size
    content = file.part(0, superblock.dump_size) if fits else file
    return Found(content, "a dump partition", _superblock_facts(superblock, file, 0))


def _on_dump_disk(disk: File, sector_size: int | None) -> Found:
    superblock = superblock_of_disk(disk).superblock
    if superblock.magic != DUMP_SB_MAGIC:
        raise EvidenceError(
            f"{disk.name}: prepared by zipl -d, but its dump superblock has magic "
            f"{superblock.magic:#x}, not {DUMP_SB_MAGIC:#x}"
        )
    if superblock.dump_start >= disk.size:
        raise EvidenceError(
            f"{disk.name}: the dump superblock puts the dump at {superblock.dump_start:#x}, behind "
            f"the end of the disk at {disk.size:#x}"
        )
    content = disk.part(superblock.dump_start, superblock.dump_size)
    content.name = f"{disk.name}: dump partition"
    named = partition_at(disk, superblock.part_start, superblock.part_size, sector_size)
    name = f" {named[0].name}" if named else ""
    where = f"the dump partition{name} at {superblock.part_start:#x} of a disk"
    facts = _table_facts(*named) if named else {}
    around = _superblock_facts(superblock, disk, superblock.part_start)
    return Found(content, where, {**around, **facts})


def _superblock_facts(
    superblock: Superblock, content: ByteSource, part_start: int
) -> Mapping[str, object]:
    """``csum_fits`` is None if the checksummed area is missing or not valid."""
    size, fits = superblock.csum_size, None
    if size <= _LARGEST_CHECKSUMMED and size % 4 == 0:
        start = part_start + superblock.csum_offset
        if start + size <= content.size:
            fits = superblock.checksum_fits(content.upto(start, size))
    return {**asdict(superblock), "csum_fits": fits}


def _table_facts(partition: Partition, table: Table) -> dict[str, object]:
    return {"partition": f"{partition.name} ({partition.kind})", **table.facts}


class _Place(NamedTuple):
    """Where a file system may be; ``partition`` of ``table``, unless it is the whole file."""

    start: int
    size: int
    where: str
    partition: Partition | None = None
    table: Table | None = None

    @property
    def facts(self) -> dict[str, object]:
        if self.partition is None or self.table is None:
            return {}
        return _table_facts(self.partition, self.table)


class _Candidate(NamedTuple):
    file_system: FileSystem
    file: ExtFile
    where: str
    facts: Mapping[str, object]


class _Search:
    """The search for a dump, or for the file ``member``, in file systems of one disk."""

    def __init__(self, disk: File, member: str | None, notes: Sequence[str] = ()) -> None:
        self._disk, self._member, self._time = disk, member, CpuTime()
        self._instead = list(notes)  # what was found where no dump is, or why not more was searched

    def among(self, places: tuple[_Place, ...]) -> Found:
        """The newest dump in the file systems of ``places``; raises EvidenceError without one."""
        # by their start, because a partition table may name the same place a thousand times
        at = {place.start: place for place in reversed(places) if is_ext(self._disk, place.start)}
        with_file_system = [at[start] for start in sorted(at)]
        require(self._disk.name, "file systems", len(with_file_system), limits().file_systems)
        candidates = [found for place in with_file_system for found in self._in(place)]
        if not candidates:
            name = self._member
            what = (
                f"file {name}"
                if name
                else f"file dump.N, dump of {META} or dump partition of zipl -d"
            )
            where = f"{len(with_file_system)} ext file systems in {len(places)} partitions"
            lacks = f"{self._disk.name}: a disk without a dump: {where}, no {what}"
            raise EvidenceError("; ".join((lacks, *self._instead[:_NAMED])))
        newest = max(candidates, key=lambda found: (found.file.mtime, found.file.number))
        content = newest.file_system.content(newest.file)
        return Found(content, newest.where, newest.facts)

    def _in(self, place: _Place) -> Iterator[_Candidate]:
        system = FileSystem(self._disk, place.start, place.size, self._time)
        found = self._named(system, place) if self._member else self._newest(system, place)
        if found is not None:
            yield found

    def _named(self, system: FileSystem, place: _Place) -> _Candidate | None:
        file = system.find(self._member or "")
        if file is None:
            return None
        where = f"{file.path} on {place.where}"
        meta = _meta_if_sound(system)
        if meta is not None and meta.file is None and file.number < 0:
            where += ", which ngdump left without its checksum"
        return _Candidate(system, file, where, place.facts)

    def _newest(self, system: FileSystem, place: _Place) -> _Candidate | None:
        meta = read_meta(system)
        if meta is not None and meta.file is not None:
            file = find_named(system, meta)
            if file is None:
                what = f"{META} on {place.where} names {meta.file}, which is not there"
                raise EvidenceError(f"{self._disk.name}: {what}")
            facts = {**asdict(meta), **place.facts}
            return _Candidate(system, file, f"ngdump's {file.path} on {place.where}", facts)
        for file in system.dumps()[-1:]:
            return _Candidate(system, file, f"{file.path} on {place.where}", place.facts)
        self._instead += _instead(system, place, meta)
        return None


def _meta_if_sound(file_system: FileSystem) -> Meta | None:
    try:
        return read_meta(file_system)
    except EvidenceError:
        return None


def _instead(system: FileSystem, place: _Place, meta: Meta | None) -> Iterator[str]:
    """What is on a file system without a dump: a dump that ngdump did not finish, other files."""
    there = [file for file in system.files(_NAMED) if file.path != f"/{META}"]
    files = ", ".join(f"{file.path} ({file.size} bytes)" for file in there)
    hint = f"{_MEMBER_OPTION} reads one" if len(there) > 1 else f"{_MEMBER_OPTION} reads it"
    if meta is None:
        if there:
            yield f"on {place.where} there is {files} ({hint})"
    elif there:
        what = "was interrupted before it named its dump"
        yield f"ngdump on {place.where} {what}: there is {files} ({hint})"
    else:
        yield f"{place.where} is prepared for ngdump, which never dumped"
