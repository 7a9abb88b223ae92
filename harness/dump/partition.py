"""Dumps on a raw partition, as zfcpdump 3 writes them on a disk prepared by ``zipl -d``.

References: s390-tools ``zipl/src/bootmap.c`` (what zipl puts on the disk),
``zdump/dt_scsi.c`` (how zgetdump finds it again).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from harness import sparse
from harness.dump.content import Content, File
from harness.dump.detect import read_dump
from harness.dump.sparse_file import SparseFile
from harness.errors import EvidenceError
from harness.progress import Progress
from harness.s390x.zipl import (
    BOOT_INFO_DUMP,
    BOOT_INFO_SCSI,
    DUMP_SB_MAGIC,
    DUMP_SB_SIZE,
    MAGIC,
    c_zipl,
    cksm,
)

DUMP, SUPERBLOCK, DISK = "dump", "superblock.bin", "disk.json"
SUPERBLOCK_BLOCK = 4096  # bytes kept for the evidence
CHUNK = 1 << 20
_MBR_SIZE = len(c_zipl.scsi_mbr)
_BOOT_INFO = 0x70


@dataclass(frozen=True)
class Superblock:
    """struct scsi_dump_sb. Starts, sizes and offsets in bytes.

    ``part_start`` counts from the disk's start, ``dump_offset`` and ``csum_offset`` from the
    partition's.
    """

    magic: int
    version: int
    part_start: int
    part_size: int
    dump_offset: int
    dump_size: int
    csum_offset: int
    csum_size: int
    csum: int

    @classmethod
    def parse(cls, data: bytes) -> Superblock:
        """Whatever stands there, right or wrong; raises EvidenceError only if it is too short."""
        if len(data) < DUMP_SB_SIZE:
            raise EvidenceError(f"dump superblock of {len(data)} bytes, not {DUMP_SB_SIZE}")
        raw = c_zipl.scsi_dump_sb(data[:DUMP_SB_SIZE])
        return cls(**{name: getattr(raw, name) for name in cls.__dataclass_fields__})

    @property
    def dump_start(self) -> int:
        """Byte offset of the dump on the disk."""
        return self.part_start + self.dump_offset

    def checksum_fits(self, data: bytes) -> bool:
        """Whether ``csum`` is that of ``data``, the checksummed area."""
        return self.csum == cksm(data)


@dataclass(frozen=True)
class FoundSuperblock:
    """A superblock and where it is: ``offset`` from the disk's start, ``block`` 4096 bytes."""

    superblock: Superblock
    offset: int
    block: bytes


@dataclass(frozen=True)
class Collected:
    """``dump`` is None if there was nothing to take; ``note`` says what was taken, and why so."""

    dump: Path | None
    size: int
    note: str


def read_superblock(disk: Path) -> FoundSuperblock:
    """The dump superblock of a disk image, with the block that begins with it.

    What is in it is not judged here. Raises EvidenceError if the disk's SCSI MBR does not lead
    to one.
    """
    with disk.open("rb") as image:
        mbr_bytes = image.read(_MBR_SIZE)
        if len(mbr_bytes) < _MBR_SIZE:
            raise EvidenceError(f"{disk}: {len(mbr_bytes)} bytes are too few for a SCSI MBR")
        mbr = c_zipl.scsi_mbr(mbr_bytes)
        if mbr.magic != MAGIC or mbr.boot_info_magic != MAGIC:
            raise EvidenceError(
                f"{disk}: offsets 0 and {_BOOT_INFO:#x} hold {mbr.magic!r} and "
                f"{mbr.boot_info_magic!r}, not {MAGIC!r}: no disk prepared by zipl -d"
            )
        if (mbr.bp_type, mbr.dev_type) != (BOOT_INFO_DUMP, BOOT_INFO_SCSI):
            raise EvidenceError(
                f"{disk}: boot info at offset {_BOOT_INFO:#x} has type {mbr.bp_type}, device "
                f"{mbr.dev_type}: not a SCSI dump"
            )
        size = os.fstat(image.fileno()).st_size
        if mbr.sb_off + DUMP_SB_SIZE > size:
            raise EvidenceError(
                f"{disk}: offset {_BOOT_INFO + 8:#x}: the dump superblock would be at "
                f"{mbr.sb_off:#x}, behind the end of the disk at {size:#x}"
            )
        image.seek(mbr.sb_off)
        block = image.read(SUPERBLOCK_BLOCK)
    return FoundSuperblock(Superblock.parse(block), int(mbr.sb_off), block)


def collect_partition(disk: Path, into: Path, progress: Progress) -> Collected:
    """Copy the dump out of the disk image to ``into``/dump.

    The superblock goes beside it (superblock.bin), and where it was (disk.json, in bytes).

    A dump of a format that is known is as long as its own headers say, otherwise as the
    superblock allows; never longer than the disk. Holes and zero pages become holes. Raises
    EvidenceError if the disk is no dump disk, HostError if ``into`` lacks space.
    """
    found = read_superblock(disk)
    superblock = found.superblock
    with SparseFile.create(into / SUPERBLOCK, len(found.block)) as file:
        file.write(0, found.block)
    where = {"size": disk.stat().st_size, "superblock_offset": found.offset}
    (into / DISK).write_text(json.dumps(where, indent=1) + "\n")
    if superblock.magic != DUMP_SB_MAGIC:
        return Collected(None, 0, f"the superblock's magic is {superblock.magic:#x}")
    with disk.open("rb") as image:
        fd, start = image.fileno(), superblock.dump_start
        room = min(superblock.dump_size, os.fstat(fd).st_size - start)
        if room <= 0:
            return Collected(None, 0, f"the superblock puts the dump at {start:#x}, off the disk")
        with File.open(disk) as content:
            size, note = _dump_length(content.part(start, room), room)
        with (
            progress.task("copy it out of the disk image", size, "B") as task,
            SparseFile.create(into / DUMP, size) as target,
        ):
            for offset, length in sparse.data_extents(fd, start, start + size):
                for at in range(offset, offset + length, CHUNK):
                    target.write(at - start, os.pread(fd, min(CHUNK, offset + length - at), at))
                    task.update(at - start)
            task.update(size)
    return Collected(into / DUMP, size, note)


def _dump_length(content: Content, room: int) -> tuple[int, str]:
    """Bytes to take, and why so many."""
    try:
        length = read_dump(content).length
    except EvidenceError as error:
        return room, f"all that the superblock allows, for there is no complete dump: {error}"
    if length > room:
        return room, f"the dump's headers describe {length} bytes, the partition has only {room}"
    return length, "as long as the dump's headers say"
