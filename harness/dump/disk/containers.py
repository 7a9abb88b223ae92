"""Find a dump within a disk image, a partition or a file system, by its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import NamedTuple

from harness.dump.byte_source import ByteSource, File
from harness.dump.disk.debugfs import CpuTime
from harness.dump.disk.ext_files import ExtFile, FileSystem, is_ext
from harness.dump.disk.ngdump import META, Meta, parse_meta
from harness.dump.disk.partition_table import Partition, partitions
from harness.dump.disk.zipl_superblock import (
    Superblock,
    is_dump_disk,
    superblock_of_disk,
    superblock_of_partition,
)
from harness.errors import EvidenceError
from harness.limits import limits, require
from harness.s390x.zipl import DUMP_SB_MAGIC

_LARGEST_CHECKSUMMED = 1 << 20  # bytes; zipl and zfcpdump say 4096


class Found(NamedTuple):
    """The place of a dump; ``content`` is the dump, ``facts`` come from the data around it."""

    content: ByteSource
    where: str
    facts: Mapping[str, object]


def find(file: File, member: str | None = None) -> Found | None:
    """The place of the dump in ``file``; None if that is no disk, partition or file system.

    ``member`` is the path of a file in a file system. Without it the dump is the file that
    ngdump.meta names, or the newest dump.N in the root directory. The content of the place is not
    checked. Raises EvidenceError for a disk without a dump, HostError if debugfs is missing.
    """
    if is_dump_disk(file) and member is None:
        return _on_dump_disk(file)
    # a file system does not use its first sectors; a boot record there may look like a table
    places = (Partition(0, 0, file.size),) if is_ext(file) else partitions(file)
    return _in_file_systems(file, places, member) if places else None


def surroundings(file: File, length: int) -> Found | None:
    """Like ``find`` for a file that begins with a dump of ``length`` bytes: its partition."""
    found = superblock_of_partition(file)
    if found is None:
        return None
    superblock = found.superblock
    fits = superblock.dump_offset == 0 and length <= superblock.dump_size
    content = file.part(0, superblock.dump_size) if fits else file
    return Found(content, "a dump partition", _superblock_facts(superblock, file, 0))


def _on_dump_disk(disk: File) -> Found:
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
    where = f"the dump partition at {superblock.part_start:#x} of a disk"
    return Found(content, where, _superblock_facts(superblock, disk, superblock.part_start))


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


class _Candidate(NamedTuple):
    file_system: FileSystem
    file: ExtFile
    where: str
    facts: Mapping[str, object]


def _in_file_systems(disk: File, places: tuple[Partition, ...], member: str | None) -> Found:
    """The newest dump in the file systems of ``places``."""
    # by their start, because a partition table may name the same place a thousand times
    at = {place.start: place for place in reversed(places) if is_ext(disk, place.start)}
    with_file_system = sorted(at.values())
    require(disk.name, "file systems", len(with_file_system), limits().file_systems)
    time = CpuTime()
    candidates = [
        candidate
        for place in with_file_system
        for candidate in _in_file_system(disk, place, member, time)
    ]
    if not candidates:
        what = f"file {member}" if member else f"file dump.N, {META} or dump partition of zipl -d"
        raise EvidenceError(
            f"{disk.name}: a disk without a dump: {len(with_file_system)} ext file systems in "
            f"{len(places)} partitions, no {what}"
        )
    newest = max(candidates, key=lambda candidate: (candidate.file.mtime, candidate.file.number))
    content = newest.file_system.content(newest.file)
    return Found(content, newest.where, newest.facts)


def _in_file_system(
    disk: File, place: Partition, member: str | None, time: CpuTime
) -> Iterator[_Candidate]:
    file_system = FileSystem(disk, place.start, place.size, time)
    on = f"partition {place.number}" if place.number else "an ext file system"
    if member is not None:
        file = file_system.find(member)
        if file is not None:
            yield _Candidate(file_system, file, f"{file.path} on {on}", {})
        return
    meta = _meta(file_system)
    if meta is not None and meta.file is not None:
        file = file_system.find(meta.file)
        if file is None:
            what = f"{META} on {on} names {meta.file}, which is not there"
            raise EvidenceError(f"{disk.name}: {what}")
        yield _Candidate(file_system, file, f"ngdump's {file.path} on {on}", asdict(meta))
        return
    for file in file_system.dumps()[-1:]:
        yield _Candidate(file_system, file, f"{file.path} on {on}", {})


def _meta(file_system: FileSystem) -> Meta | None:
    file = file_system.find(META)
    return None if file is None else parse_meta(file_system.content(file))
