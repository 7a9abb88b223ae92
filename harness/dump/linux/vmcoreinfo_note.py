"""The note of VMCOREINFO in memory: its name, and how to find it.

Sources: Linux ``arch/s390/kernel/setup.c`` (setup_vmcoreinfo) and
``arch/s390/include/asm/lowcore.h``; s390-tools ``zdump/dfi_vmcoreinfo.c``.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.dump.formats.elf.c_elf import NHDR_SIZE, c_elf
from harness.s390x.lowcore import PAGE_SIZE

NAME = b"VMCOREINFO"
POINTER = 0xE0C  # in the absolute lowcore: u64 address of the note
DATA_AT = NHDR_SIZE + 12  # behind NAME and its NUL, padded to whole words


def note_in(read: Callable[[int, int], bytes]) -> bytes | None:
    """Descriptor of the note to which the absolute lowcore points; None if there is none.

    ``read(address, size)`` returns ``size`` bytes from an absolute address on, fewer at the end of
    memory. Its exceptions are passed on.
    """
    pointer = read(POINTER, 8)
    address = int.from_bytes(pointer, "big")
    if len(pointer) < 8 or address == 0:
        return None
    head = read(address, DATA_AT)
    if not is_head(head):
        return None
    size = c_elf.Elf64_Nhdr(head[:NHDR_SIZE]).n_descsz
    note = read(address + DATA_AT, size) if size <= PAGE_SIZE else b""
    return note if len(note) == size else None


def is_head(data: bytes) -> bool:
    """Whether these are the first ``DATA_AT`` bytes of such a note."""
    return len(data) == DATA_AT and data[NHDR_SIZE:].rstrip(b"\0") == NAME
