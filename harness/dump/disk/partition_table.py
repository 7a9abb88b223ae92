"""Find the partitions of a disk image: DOS and GPT partition tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.dump.byte_source import ByteSource
from harness.dump.disk.c_disk import DOS_PARTITIONS, DOS_SIGNATURE, GPT_SIGNATURE, c_disk
from harness.errors import EvidenceError

SECTOR = 512
_BLOCK_SIZES = (512, 4096)  # of SCSI and NVMe disks
_GPT_ENTRIES = 1024  # read at most; partitioning tools make 128
_GPT_ENTRY_SIZES = (128, 256, 512)
_UNUSED = bytes(16)


@dataclass(frozen=True, order=True)
class Partition:
    """Partition ``number``, counted from 1; ``start`` and ``size`` in bytes."""

    number: int
    start: int
    size: int


def partitions(disk: ByteSource) -> tuple[Partition, ...]:
    """The partitions of the GPT, otherwise the primary DOS partitions; () without a table.

    The part of a partition behind the end of the disk is left out.
    """
    return tuple(
        Partition(item.number, item.start, min(item.size, disk.size - item.start))
        for item in _gpt(disk) or _dos(disk)
        if item.size > 0 and item.start < disk.size
    )


def partition_extent(disk: ByteSource, number: int) -> tuple[int, int]:
    """(byte offset, size in bytes) of primary partition ``number``, counted from 1.

    Raises EvidenceError if the image has no DOS partition table or no such partition.
    """
    found = {item.number: item for item in _dos(disk)}
    if not found:
        raise EvidenceError(f"{disk.name}: offset 510: no DOS partition table")
    if not 1 <= number <= DOS_PARTITIONS:
        raise EvidenceError(f"{disk.name}: a DOS partition table has no primary partition {number}")
    if found[number].size == 0:
        raise EvidenceError(f"{disk.name}: partition {number} is empty")
    return found[number].start, found[number].size


def _dos(disk: ByteSource) -> tuple[Partition, ...]:
    sector = disk.upto(0, SECTOR)
    if len(sector) < SECTOR or not sector.endswith(DOS_SIGNATURE):
        return ()
    return tuple(
        Partition(number, entry.starting_lba * SECTOR, entry.size_in_lba * SECTOR)
        for number, entry in enumerate(c_disk.dos_mbr(sector).partitions, start=1)
    )


def _gpt(disk: ByteSource) -> tuple[Partition, ...]:
    for block_size in _BLOCK_SIZES:
        data = disk.upto(block_size, len(c_disk.gpt_header))
        if data.startswith(GPT_SIGNATURE) and len(data) == len(c_disk.gpt_header):
            return tuple(_gpt_entries(disk, c_disk.gpt_header(data), block_size))
    return ()


def _gpt_entries(
    disk: ByteSource, header: c_disk.gpt_header, block_size: int
) -> Iterator[Partition]:
    """The entries in use."""
    size = header.size_of_partition_entry
    if size not in _GPT_ENTRY_SIZES:
        return
    for number in range(min(header.number_of_partition_entries, _GPT_ENTRIES)):
        data = disk.upto(header.partition_entry_lba * block_size + number * size, size)
        if len(data) < size:
            return
        entry = c_disk.gpt_entry(data)
        if entry.partition_type_guid != _UNUSED:
            blocks = entry.ending_lba - entry.starting_lba + 1
            yield Partition(number + 1, entry.starting_lba * block_size, blocks * block_size)
