"""GUID partition tables: the primary one at the disk's start, and the backup at its end.

References: UEFI 2.10, 5.3 "GUID Partition Table (GPT) Disk Layout"; Linux
``block/partitions/efi.c`` (is_gpt_valid, is_pmbr_valid, find_valid_gpt, efi_partition).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from harness.dump.byte_source import ByteSource
from harness.dump.disk.c_disk import DOS_GPT, GPT_SIGNATURE, c_disk
from harness.dump.disk.dos_table import entries_at
from harness.dump.disk.partition import LINUX_LIMIT, Kind, Partition, Table, TableKind
from harness.errors import EvidenceError

_HEADER_SIZE = len(c_disk.gpt_header)  # 92; a header may be longer
_ENTRY_SIZE = 128  # what Linux takes; UEFI allows any power of two times this
_LARGEST_ENTRY = 4096
_LARGEST_ARRAY = 1 << 20  # bytes; partitioning tools make 16384
_CRC_AT = 16
_UNUSED = bytes(16)


class _Damaged(EvidenceError):
    """There is a header, and this is wrong with it."""


def has_header(disk: ByteSource, sector_size: int) -> bool:
    """Whether a primary or a backup header is at its place, sound or not."""
    places = (sector_size, _last(disk, sector_size))
    return any(disk.upto(at, len(GPT_SIGNATURE)) == GPT_SIGNATURE for at in places)


def primary(disk: ByteSource, sector_size: int) -> Table | str:
    """The primary table in sectors of ``sector_size`` bytes, or what is wrong with it."""
    try:
        return _table(disk, sector_size, sector_size)
    except _Damaged as error:
        return error.message


def backup(disk: ByteSource, sector_size: int) -> Table | str:
    """The table of the backup header in the last sector, or what is wrong with it."""
    try:
        return _table(disk, sector_size, _last(disk, sector_size))
    except _Damaged as error:
        return error.message


def _last(disk: ByteSource, sector_size: int) -> int:
    return max(0, disk.size // sector_size - 1) * sector_size


def _table(disk: ByteSource, sector_size: int, at: int) -> Table:
    """The table of the header at byte ``at``; raises _Damaged if it is not sound."""
    header, array = _header(disk, sector_size, at)
    size, count = header.size_of_partition_entry, header.number_of_partition_entries
    kept = [
        Partition(number, entry.starting_lba * sector_size, blocks * sector_size, Kind.GPT)
        for number, entry in _entries(array, size, count)
        if (blocks := entry.ending_lba - entry.starting_lba + 1) > 0
    ]
    notes = []
    if size != _ENTRY_SIZE:
        notes.append(f"its entries have {size} bytes, Linux takes {_ENTRY_SIZE} only")
    if any(item.number >= LINUX_LIMIT for item in kept):
        notes.append(f"Linux takes its partitions up to {LINUX_LIMIT - 1} only")
    notes += _beside(disk)
    return Table(TableKind.GPT, sector_size, tuple(kept), tuple(notes))


def _header(disk: ByteSource, sector_size: int, at: int) -> tuple[c_disk.gpt_header, bytes]:
    """The header and its array of entries."""
    sector = disk.upto(at, sector_size)
    if len(sector) < _HEADER_SIZE or not sector.startswith(GPT_SIGNATURE):
        raise _Damaged(f"no header at {at:#x}")
    header = c_disk.gpt_header(sector)
    if not _HEADER_SIZE <= header.header_size <= len(sector):
        raise _Damaged(f"the header at {at:#x} has header_size {header.header_size}")
    whole = bytearray(sector[: header.header_size])
    whole[_CRC_AT : _CRC_AT + 4] = bytes(4)
    if zlib.crc32(whole) != header.header_crc32:
        raise _Damaged(f"the header at {at:#x} has a wrong checksum")
    if header.my_lba * sector_size != at:
        raise _Damaged(f"the header at {at:#x} is that of sector {header.my_lba}")
    size, count = header.size_of_partition_entry, header.number_of_partition_entries
    if not _ENTRY_SIZE <= size <= _LARGEST_ENTRY or size & (size - 1):
        raise _Damaged(f"the header at {at:#x} has entries of {size} bytes")
    if size * count > _LARGEST_ARRAY:
        raise _Damaged(f"the header at {at:#x} has {count} entries")
    array = disk.upto(header.partition_entry_lba * sector_size, size * count)
    if zlib.crc32(array) != header.partition_entry_array_crc32:
        raise _Damaged(f"the entries of the header at {at:#x} have a wrong checksum")
    return header, array


def _entries(array: bytes, size: int, count: int) -> Iterator[tuple[int, c_disk.gpt_entry]]:
    """Number and entry of those in use."""
    for number in range(count):
        data = array[number * size : (number + 1) * size]
        if len(data) == size and data[: len(_UNUSED)] != _UNUSED:
            yield number + 1, c_disk.gpt_entry(data)


def _beside(disk: ByteSource) -> Iterator[str]:
    """What the DOS table in the first sector is, if it does not only protect the GPT."""
    entries = [entry for entry in entries_at(disk, 0) if entry.size_in_lba]
    if not any(entry.os_type == DOS_GPT for entry in entries):
        yield "no DOS partition protects it, so Linux takes it with the parameter gpt only"
    elif len(entries) > 1:
        yield "a hybrid: the first sector has DOS partitions, too, which Linux does not take"
