"""Dumps that a disk has before a run: none of them may pass for one of the run.

What is already in the room of a dump partition is overwritten with a pattern, in the copy. So the
run's dump has only what the run wrote, also if the same crash has been dumped to the disk before.
zfcpdump refuses a disk whose checksum does not fit the room's beginning, so a checksum that fitted
before does so afterwards.
So is what the files dump.N have, and the file that ngdump.meta names; and one that the run leaves
as it was is known by its inode, time and size. So is ngdump.meta, which keeps its content: the dump
system may need it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from harness.dump.byte_source import ByteSource, File
from harness.dump.disk.ext_files import ExtFile, FileSystem
from harness.dump.disk.ngdump import META, find_named, read_meta
from harness.dump.disk.partition_table import partition_numbered
from harness.dump.disk.zipl_superblock import (
    CHECKSUM_AT,
    Superblock,
    find_superblock,
    superblock_of_disk,
)
from harness.dump.given_disk.boot_map import BootMap
from harness.dump.sparse_writer import nonzero_runs
from harness.dump_tools.destination import Destination
from harness.errors import EvidenceError
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.zipl import BLOCK_SIZE, DUMP_SB_CSUM_SIZE, cksm

PATTERN = b"not of this run\n"
_PAGE = PATTERN * (PAGE_SIZE // len(PATTERN))
_CHUNK = 1 << 20


def overwrite_room(disk: Path, boot_map: BootMap | None) -> int:
    """Overwrite what is in the room for the dump with a pattern; returns the number of bytes.

    Holes stay. Raises EvidenceError if what the IPL loads is in that room.
    """
    with File.open(disk) as image:
        superblock = find_superblock(image)
        if superblock is None:
            return 0
        start, end = superblock.dump_start, superblock.dump_start + superblock.dump_size
        for first, last in ((0, BLOCK_SIZE), *_loaded(boot_map)):
            if first < end and start < last:
                raise EvidenceError(
                    f"the superblock's room for the dump, {start:#x} to {end:#x}, covers what the "
                    f"disk is loaded from, at {first:#x}"
                )
        fitted = _checksum_fits(image, superblock)
        with disk.open("r+b") as file:
            written = _overwrite(image, file.fileno(), start, end)
            if fitted:
                area = image.upto(superblock.part_start + superblock.csum_offset, DUMP_SB_CSUM_SIZE)
                at = superblock_of_disk(image).offset + CHECKSUM_AT
                os.pwrite(file.fileno(), cksm(area).to_bytes(8, "big"), at)
        return written


def _checksum_fits(image: File, superblock: Superblock) -> bool:
    area = image.upto(superblock.part_start + superblock.csum_offset, DUMP_SB_CSUM_SIZE)
    whole = superblock.csum_size == len(area) == DUMP_SB_CSUM_SIZE
    return whole and superblock.checksum_fits(area)


def _loaded(boot_map: BootMap | None) -> Iterator[tuple[int, int]]:
    """(start, end) of everything that an IPL loads."""
    for component in boot_map.components if boot_map else ():
        yield from ((piece.start, piece.start + piece.size) for piece in component.pieces)


def _overwrite(image: File, fd: int, start: int, end: int) -> int:
    """The number of bytes that were not zero, and now are the pattern."""
    return sum(_fill(fd, *run) for run in _written(image, start, end))


def _written(image: File, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what is not zero."""
    for extent, size in image.data_extents(start, end):
        for at in range(extent, extent + size, _CHUNK):
            data = image.upto(at, min(_CHUNK, extent + size - at))
            yield from ((at + first, at + last) for first, last in nonzero_runs(data))


def _fill(fd: int, start: int, end: int) -> int:
    os.pwrite(fd, (PATTERN * ((end - start) // len(PATTERN) + 1))[: end - start], start)
    return end - start


def end_of_new(room: ByteSource) -> int:
    """Where what the run wrote ends, to a page; the room's size if nothing was there before."""
    end, old = 0, False
    for at, page in _pages(room):
        if page == _PAGE[: len(page)]:
            old = True
        else:
            end = at + len(page)
    return end if old else room.size


def _pages(room: ByteSource) -> Iterator[tuple[int, bytes]]:
    """(offset, content) of the pages that are not zero."""
    for extent, size in room.data_extents():
        for at in range(extent, extent + size, _CHUNK):
            data = room.upto(at, min(_CHUNK, extent + size - at))
            for first, last in nonzero_runs(data):
                for page in range(first, last, PAGE_SIZE):
                    yield at + page, data[page : min(page + PAGE_SIZE, last)]


def overwrite_files(
    disk: Path, destination: Destination, sector_size: int, boot_map: BootMap | None
) -> frozenset[ExtFile]:
    """Overwrite every dump where the new one will be written with a pattern.

    Returns these files, and ngdump.meta. There are none if there is no such directory: the check of
    the dump will say it.
    """
    loaded = [(0, BLOCK_SIZE), *_loaded(boot_map)]
    with File.open(disk) as image, disk.open("r+b") as file:
        try:
            place = partition_numbered(image, destination.partition or 1, sector_size)
            system = FileSystem(image, place.start, place.size)
        except EvidenceError:
            return frozenset()
        found = frozenset(_dumps(system, destination.directory))
        for dump in found:
            with suppress(EvidenceError):  # of a damaged one: it is known all the same
                for start, end in system.places(dump):
                    if not any(first < end and start < last for first, last in loaded):
                        _overwrite(image, file.fileno(), start, end)
        with suppress(EvidenceError):
            meta = system.find(META)
            return found if meta is None else found | {meta}
    return found


def _dumps(system: FileSystem, directory: str) -> Iterator[ExtFile]:
    """Every dump.N, and the file that ngdump.meta names."""
    with suppress(EvidenceError):
        yield from system.dumps(directory)
    with suppress(EvidenceError):
        meta = read_meta(system)
        named = None if meta is None else find_named(system, meta)
        if named is not None:
            yield named
