"""os_info, which a crashed kernel leaves in memory for dump kernels.

Source: Linux 6.12 ``arch/s390/include/asm/os_info.h``, ``arch/s390/kernel/os_info.c``.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from harness.dump.reader import Dump, Range
from harness.errors import EvidenceError
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.zipl import cksm
from harness.verify.evidence import RamImage

LOWCORE_OS_INFO = 0xE18  # in the absolute lowcore: u64, absolute address
MAGIC = 0x4F53494E464F535A
_MAGIC, _CSUM, _CHECKED = 0, 8, 12  # u64 magic, u32 checksum over all that follows it
_CRASHKERNEL = 16  # u64 address, u64 size
_ENTRIES, _ENTRY_SIZE = 32, 20  # a value is the first u64 of its entry
IDENTITY_BASE, KASLR_OFFSET, IMAGE_START, IMAGE_END, IMAGE_PHYS = 4, 5, 10, 11, 12


class Layout(NamedTuple):
    """Where a kernel was: virtual addresses, and the absolute address of its image."""

    identity_base: int
    image_start: int
    image_end: int
    image_phys: int


def layout(ram: RamImage) -> Layout | None:
    """The layout; None if the kernel does not tell it (Linux before 6.10 does not)."""
    if ram.size < LOWCORE_OS_INFO + 8:
        return None
    (address,) = struct.unpack(">Q", ram.read(LOWCORE_OS_INFO, 8))
    if not address or address % PAGE_SIZE or address + PAGE_SIZE > ram.size:
        return None
    page = ram.read(address, PAGE_SIZE)
    if not _is_os_info(page):
        return None

    def value(number: int) -> int:
        return int.from_bytes(page[(at := _ENTRIES + number * _ENTRY_SIZE) : at + 8], "big")

    if not value(KASLR_OFFSET):  # this is what dump kernels, crash and makedumpfile use
        return None
    return Layout(*map(value, (IDENTITY_BASE, IMAGE_START, IMAGE_END, IMAGE_PHYS)))


def crashkernel(dump: Dump) -> Range | None:
    """The memory that was reserved for kdump; None if there was none, or it is unknown."""
    try:
        (address,) = struct.unpack(">Q", dump.read(LOWCORE_OS_INFO, 8))
        page = dump.read(address, PAGE_SIZE)
    except EvidenceError:
        return None
    start, size = struct.unpack_from(">2Q", page, _CRASHKERNEL)
    return Range(start, start + size) if size and _is_os_info(page) else None


def _is_os_info(page: bytes) -> bool:
    (magic,) = struct.unpack_from(">Q", page, _MAGIC)
    (checksum,) = struct.unpack_from(">I", page, _CSUM)
    return bool(magic == MAGIC and checksum == cksm(page[_CHECKED:], seed=0))
