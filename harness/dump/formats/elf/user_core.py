"""Tell the core of a process in user space from the dump of a system; both are ELF cores.

Any machine's core can be told, so that its owner learns what the file is. References: gABI chapters
4 and 5; Linux ``include/uapi/linux/elf.h`` and ``fs/binfmt_elf.c`` (fill_note_info).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from harness.dump.byte_source import ByteSource
from harness.dump.formats.elf.c_elf import EHDR_SIZE, EI_CLASS, EI_DATA, ELFMAG, ET_CORE, PT_NOTE
from harness.dump.linux import vmcoreinfo_note
from harness.errors import UserSpaceCore
from harness.s390x.notes import S390_SYSTEM

# Linux, gcore and qemu-user write at least the first for every process, and no dump of a system
# has one of them
_OF_PROCESSES = {6: "NT_AUXV", 0x46494C45: "NT_FILE", 0x53494749: "NT_SIGINFO"}
_MOST_HEADERS, _MOST_BYTES = 1024, 1 << 20  # the notes come first, and these among the first


class _Form(NamedTuple):
    """Where ELF's headers have their fields: (offset, form for struct)."""

    phoff: tuple[int, str]
    sizes: tuple[int, str]  # e_phentsize, e_phnum
    segment: str  # p_type, p_offset, p_filesz
    size: int


_FORMS = {
    1: _Form((28, "I"), (42, "2H"), "I I 8x I", 32),
    2: _Form((32, "Q"), (54, "2H"), "I 4x Q 16x Q", 56),
}
_ORDERS = {1: "<", 2: ">"}


def refuse_user_core(content: ByteSource) -> None:
    """Raise UserSpaceCore if ``content`` is the core of a process, of whatever machine."""
    notes = set(_notes(content))
    told = [name for kind, name in _OF_PROCESSES.items() if (b"CORE", kind) in notes]
    of_system = any(
        name == vmcoreinfo_note.NAME or (name == b"LINUX" and kind in S390_SYSTEM)
        for name, kind in notes
    )
    if told and not of_system:
        raise UserSpaceCore(
            f"{content.name}: is the core of a process in user space (its notes are "
            f"{', '.join(told)}), not the dump of a system"
        )


def _notes(content: ByteSource) -> Iterator[tuple[bytes, int]]:
    """Owner without its NUL, and type, of each note; nothing is raised if headers are damaged."""
    header = content.upto(0, EHDR_SIZE)
    if not header.startswith(ELFMAG) or len(header) < EHDR_SIZE:
        return
    form, order = _FORMS.get(header[EI_CLASS]), _ORDERS.get(header[EI_DATA])
    if form is None or order is None:
        return
    if struct.unpack_from(f"{order}H", header, 16) != (ET_CORE,):
        return
    (phoff,) = struct.unpack_from(order + form.phoff[1], header, form.phoff[0])
    size, count = struct.unpack_from(order + form.sizes[1], header, form.sizes[0])
    if size != form.size:
        return
    table = content.upto(phoff, min(count, _MOST_HEADERS) * size)
    for at in range(0, len(table) - size + 1, size):
        kind, offset, length = struct.unpack_from(order + form.segment, table, at)
        if kind == PT_NOTE:  # a process has one; more would take time
            yield from _in_segment(content.upto(offset, min(length, _MOST_BYTES)), order)
            return


def _in_segment(data: bytes, order: str) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from(f"{order}3I", data, at)
        at += 12
        yield data[at : at + name_size].rstrip(b"\0"), kind
        at += (name_size + 3 & ~3) + (size + 3 & ~3)
