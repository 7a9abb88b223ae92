"""os_info, which a crashed kernel leaves in memory for dump kernels.

Source: Linux 6.12 ``arch/s390/include/asm/os_info.h``, ``arch/s390/kernel/os_info.c``. The absolute
lowcore has its address since 3.3. It tells where the kernel's image is since 6.10.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from harness.dump.reader import Dump, Range
from harness.errors import EvidenceError, LimitError
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.zipl import cksm

LOWCORE_OS_INFO = 0xE18  # in the absolute lowcore: u64, absolute address
MAGIC = 0x4F53494E464F535A
_MAGIC, _CSUM, _CHECKED = 0, 8, 12  # u64 magic, u32 checksum over all that follows it
_CRASHKERNEL = 16  # u64 address, u64 size
_ENTRIES, _ENTRY_SIZE = 32, 20  # a value is the first u64 of its entry
IDENTITY_BASE, KASLR_OFFSET, KASLR_OFF_PHYS = 4, 5, 6
AMODE31_START, AMODE31_END = 8, 9
IMAGE_START, IMAGE_END, IMAGE_PHYS = 10, 11, 12


class Layout(NamedTuple):
    """Where a kernel was: virtual addresses, except for those that are called physical."""

    identity_base: int
    kaslr_offset: int
    kaslr_offset_phys: int
    amode31_start: int
    amode31_end: int
    image_start: int
    image_end: int
    image_phys: int

    @property
    def image_size(self) -> int:
        return self.image_end - self.image_start


_LAYOUT = Layout(
    IDENTITY_BASE,
    KASLR_OFFSET,
    KASLR_OFF_PHYS,
    AMODE31_START,
    AMODE31_END,
    IMAGE_START,
    IMAGE_END,
    IMAGE_PHYS,
)


def pointer(dump: Dump) -> int:
    """What the absolute lowcore says is os_info's address, 0 if Linux has not set it.

    Raises EvidenceError if the dump does not have the absolute lowcore.
    """
    return int.from_bytes(dump.read(LOWCORE_OS_INFO, 8), "big")


def is_at(dump: Dump, address: int) -> bool:
    """Whether a valid os_info is there; raises EvidenceError if the dump lacks that memory."""
    page = dump.read(address, PAGE_SIZE)
    (magic,) = struct.unpack_from(">Q", page, _MAGIC)
    (checksum,) = struct.unpack_from(">I", page, _CSUM)
    right = magic == MAGIC and checksum == cksm(page[_CHECKED:], seed=0)
    return bool(address % PAGE_SIZE == 0 and right)


def layout(dump: Dump) -> Layout | None:
    """The layout; None if the kernel does not tell it (Linux before 6.10 does not)."""
    page = _page(dump)
    if page is None or not _value(page, KASLR_OFFSET):  # dump kernels, crash, makedumpfile use it
        return None
    return Layout(*(_value(page, number) for number in _LAYOUT))


def crashkernel(dump: Dump) -> Range | None:
    """The memory that was reserved for kdump; None if there was none, or it is unknown."""
    page = _page(dump)
    if page is None:
        return None
    start, size = struct.unpack_from(">2Q", page, _CRASHKERNEL)
    return Range(start, start + size) if size else None


def _page(dump: Dump) -> bytes | None:
    """The page with os_info; None if the absolute lowcore does not lead to it."""
    try:
        address = pointer(dump)
        return dump.read(address, PAGE_SIZE) if address and is_at(dump, address) else None
    except LimitError:
        raise
    except EvidenceError:
        return None


def _value(page: bytes, number: int) -> int:
    at = _ENTRIES + number * _ENTRY_SIZE
    return int.from_bytes(page[at : at + 8], "big")
