"""Dumps of a Linux that stopped before it had set VMCOREINFO.

Sources: Linux 6.12 ``arch/s390/boot/startup.c`` ("Save KASLR offset for early dumps, before
vmcore_info is set. Mark as uneven to distinguish from real vmcore_info pointer"), likewise 6.1 with
KASLR; ``kernel/vmcore_info.c``, which sets VMCOREINFO in a subsys_initcall.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.dump.linux import os_info
from harness.dump.linux.vmcoreinfo_note import DATA_AT, NAME, POINTER, is_head
from harness.dump.reader import Dump
from harness.errors import EvidenceError, LimitError
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.zipl import ENTRY_MARK, ENTRY_OFFSET

TEXT_OFFSET = 0x100000  # where the image is linked to: arch/s390/kernel/vmlinux.lds.S
_MARK = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Early:
    """``image``: where the kernel's image is, an absolute address; None if nothing tells it."""

    image: int | None

    def __str__(self) -> str:
        """Why it is early, what is missing, and what can be judged."""
        return (
            "Linux had not set VMCOREINFO yet, or is built without it (CONFIG_VMCORE_INFO). So "
            "there are no symbols, names and log; memory, registers and prefixes can be judged"
        )


def early(dump: Dump) -> Early | None:
    """What such a Linux left; None if there is VMCOREINFO, or if nothing shows that it was Linux.

    Linux shows itself by its mark in place of the pointer to VMCOREINFO, by its os_info, or, before
    it is unpacked, by the begin of what a boot loader has loaded.
    """
    if dump.vmcoreinfo is not None:
        return None
    try:
        pointer = int.from_bytes(dump.read(POINTER, 8), "big")
        if not pointer:
            named = os_info.pointer(dump)
            known = os_info.is_at(dump, named) if named else _is_loaded(dump)
            return Early(None) if known else None
        image = pointer - _MARK + TEXT_OFFSET
        dump.read(image, PAGE_SIZE)
    except LimitError:
        raise
    except EvidenceError:
        return None
    return Early(image) if pointer % PAGE_SIZE == _MARK else None


def _is_loaded(dump: Dump) -> bool:
    return dump.read(ENTRY_OFFSET, len(ENTRY_MARK)) == ENTRY_MARK


def lost_note(dump: Dump) -> int | None:
    """The absolute address of a VMCOREINFO note to which nothing points; None if there is none.

    Linux has it at the begin of a page (``kernel/vmcore_info.c``). All memory is read.
    """
    for start, end in dump.data_ranges():
        for at in range(-(-start // PAGE_SIZE) * PAGE_SIZE, end, _CHUNK):
            chunk = dump.read(at, min(_CHUNK, end - at))
            heads = (page for page in range(0, len(chunk), PAGE_SIZE) if NAME in chunk)
            found = next((page for page in heads if is_head(chunk[page : page + DATA_AT])), None)
            if found is not None:
                return at + found
    return None
