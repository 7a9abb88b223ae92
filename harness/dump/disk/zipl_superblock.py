"""The superblock of a disk that ``zipl -d`` prepared: the place of the dump, and a checksum.

References: s390-tools ``zipl/src/bootmap.c`` (what zipl puts on the disk),
``zdump/dt_scsi.c`` (how zgetdump finds it again).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.dump.byte_source import ByteSource
from harness.errors import EvidenceError
from harness.s390x.layouts.c_zipl import c_zipl
from harness.s390x.layouts.offsets import offset_of
from harness.s390x.zipl import (
    BOOT_INFO_DUMP,
    BOOT_INFO_SCSI,
    DUMP_SB_MAGIC,
    DUMP_SB_SIZE,
    MAGIC,
    RESERVED_SECTORS,
    SECTOR_SIZES,
    cksm,
)

SUPERBLOCK_BLOCK = 4096  # bytes kept for the evidence
_SECTOR = 512
_MBR_SIZE = len(c_zipl.scsi_mbr)
_BOOT_INFO = 0x70
CHECKSUM_AT = offset_of(c_zipl.scsi_dump_sb, "csum")
_DUMP_SB_MAGIC_BYTES = DUMP_SB_MAGIC.to_bytes(8, "big")
# zipl reserves the end of the partition for kernel, ramdisk, boot map and superblock; it writes
# these to the beginning of what it reserved
_SEARCHED = (32 << 20) + RESERVED_SECTORS * max(SECTOR_SIZES)
_CHUNK = 1 << 20


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
        """Read the fields without a check; raises EvidenceError only if ``data`` is too short."""
        if len(data) < DUMP_SB_SIZE:
            raise EvidenceError(f"dump superblock of {len(data)} bytes, not {DUMP_SB_SIZE}")
        raw = c_zipl.scsi_dump_sb(data[:DUMP_SB_SIZE])
        return cls(**{name: getattr(raw, name) for name in cls.__dataclass_fields__})

    @property
    def dump_start(self) -> int:
        """Byte offset of the dump on the disk."""
        return self.part_start + self.dump_offset

    def checksum_fits(self, data: bytes) -> bool:
        """Whether ``csum`` is the checksum of ``data``, the checksummed area."""
        return self.csum == cksm(data)


@dataclass(frozen=True)
class FoundSuperblock:
    """A superblock and where it is: ``offset`` from the disk's start, ``block`` 4096 bytes.

    ``in_table`` is False if the disk has a partition table without the superblock's partition.
    """

    superblock: Superblock
    offset: int
    block: bytes
    in_table: bool = True


def superblock_of_disk(disk: ByteSource) -> FoundSuperblock:
    """The dump superblock of a disk, with the block that begins with it.

    Its content is not checked here. Raises EvidenceError if the disk's SCSI MBR does not lead to
    a superblock.
    """
    mbr_bytes = disk.upto(0, _MBR_SIZE)
    if len(mbr_bytes) < _MBR_SIZE:
        raise EvidenceError(f"{disk.name}: {len(mbr_bytes)} bytes are too few for a SCSI MBR")
    mbr = c_zipl.scsi_mbr(mbr_bytes)
    if mbr.magic != MAGIC or mbr.boot_info_magic != MAGIC:
        raise EvidenceError(
            f"{disk.name}: offsets 0 and {_BOOT_INFO:#x} hold {mbr.magic!r} and "
            f"{mbr.boot_info_magic!r}, not {MAGIC!r}: no disk prepared by zipl -d"
        )
    if (mbr.bp_type, mbr.dev_type) != (BOOT_INFO_DUMP, BOOT_INFO_SCSI):
        raise EvidenceError(
            f"{disk.name}: boot info at offset {_BOOT_INFO:#x} has type {mbr.bp_type}, device "
            f"{mbr.dev_type}: not a SCSI dump"
        )
    if mbr.sb_off + DUMP_SB_SIZE > disk.size:
        raise EvidenceError(
            f"{disk.name}: offset {_BOOT_INFO + 8:#x}: the dump superblock would be at "
            f"{mbr.sb_off:#x}, behind the end of the disk at {disk.size:#x}"
        )
    block = disk.upto(mbr.sb_off, SUPERBLOCK_BLOCK)
    return FoundSuperblock(Superblock.parse(block), mbr.sb_off, block)


def is_dump_disk(disk: ByteSource) -> bool:
    """Whether zipl left boot info of a SCSI dump."""
    start = disk.upto(0, _MBR_SIZE)
    if len(start) < _MBR_SIZE:
        return False
    mbr = c_zipl.scsi_mbr(start)
    kind = (mbr.magic, mbr.boot_info_magic, mbr.bp_type, mbr.dev_type)
    return kind == (MAGIC, MAGIC, BOOT_INFO_DUMP, BOOT_INFO_SCSI)


def find_superblock(disk: ByteSource) -> Superblock | None:
    """The dump superblock to which the disk's SCSI MBR leads, if it has its magic."""
    if not is_dump_disk(disk):
        return None
    try:
        found = superblock_of_disk(disk).superblock
    except EvidenceError:
        return None
    return found if found.magic == DUMP_SB_MAGIC else None


def program_table_at(disk: ByteSource, sector_size: int) -> int | None:
    """Where zipl's program table is, in bytes, if it is there in sectors of this size."""
    start = disk.upto(0, _MBR_SIZE)
    if len(start) < _MBR_SIZE or not start.startswith(MAGIC):
        return None
    at = c_zipl.scsi_mbr(start).program_table_pointer.blockno * sector_size
    return at if 0 < at < disk.size and disk.upto(at, len(MAGIC)) == MAGIC else None


def superblock_of_partition(partition: ByteSource) -> FoundSuperblock | None:
    """The superblock in a dump partition without its disk, searched for at the partition's end.

    A superblock counts if it says that it belongs to a partition of this size.
    """
    start = max(0, partition.size - _SEARCHED)
    for at, size in partition.data_extents(start - start % _SECTOR):
        for chunk_at in range(at - at % _SECTOR, at + size, _CHUNK):
            found = _superblock_in(partition, chunk_at)
            if found is not None:
                return found
    return None


def _superblock_in(partition: ByteSource, chunk_at: int) -> FoundSuperblock | None:
    chunk = partition.upto(chunk_at, _CHUNK)
    at = chunk.find(_DUMP_SB_MAGIC_BYTES)
    while at >= 0:
        block = partition.upto(chunk_at + at, SUPERBLOCK_BLOCK)
        if at % _SECTOR == 0 and len(block) >= DUMP_SB_SIZE:
            superblock = Superblock.parse(block)
            if superblock.part_size == partition.size:
                return FoundSuperblock(superblock, chunk_at + at, block)
        at = chunk.find(_DUMP_SB_MAGIC_BYTES, at + 1)
    return None
