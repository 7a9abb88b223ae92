"""A module's file, made with struct: code, and sections that list places in it.

References: System V ABI (ELF-64, relocatable files); Linux include/linux/jump_label.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

EXECUTABLE, ALLOCATED = 4, 2  # SHF_*
PROGBITS, SYMTAB, STRTAB, RELA = 1, 2, 3, 4  # SHT_*
EM_S390 = 22
R_390_PC32, R_390_64, R_390_PLT32DBL = 5, 22, 20
_HEADER, _SECTION = 64, 64


@dataclass
class Section:
    """A section; ``relocations`` are offset, type, the number of a section, offset in that."""

    name: str
    data: bytes
    flags: int = ALLOCATED
    relocations: list[tuple[int, int, int, int]] = field(default_factory=list)


def module(sections: list[Section]) -> bytes:
    """The file. Sections are numbered from 1 on; there is a symbol for the start of each."""
    symbols = b"".join(
        struct.pack(">IBBHQQ", 0, 3, 0, number, 0, 0) for number in range(len(sections) + 1)
    )
    count = len(sections)
    all_sections: list[tuple[str, int, int, bytes, int, int, int]] = [
        (section.name, PROGBITS, section.flags, section.data, 0, 0, 0) for section in sections
    ]
    all_sections.append((".symtab", SYMTAB, 0, symbols, count + 2, count + 1, 24))
    all_sections.append((".strtab", STRTAB, 0, b"\0", 0, 0, 0))
    for number, section in enumerate(sections, 1):
        if section.relocations:
            entries = b"".join(
                struct.pack(">QQq", offset, symbol << 32 | kind, addend)
                for offset, kind, symbol, addend in section.relocations
            )
            all_sections.append((f".rela{section.name}", RELA, 0, entries, count + 1, number, 24))
    names = b"\0" + b"".join(f"{each[0]}\0".encode() for each in all_sections) + b".shstrtab\0"
    all_sections.append((".shstrtab", STRTAB, 0, names, 0, 0, 0))
    at, data, headers = _HEADER, b"", bytes(_SECTION)
    for name, kind, flags, content, link, info, size in all_sections:
        where = names.index(f"\0{name}\0".encode()) + 1
        headers += struct.pack(
            ">IIQQQQIIQQ", where, kind, flags, 0, at, len(content), link, info, 1, size
        )
        at, data = at + len(content), data + content
    ident = b"\x7fELF" + bytes([2, 2, 1]) + bytes(9)
    total = len(all_sections) + 1
    header = struct.pack(
        ">16sHHIQQQIHHHHHH",
        *(ident, 1, EM_S390, 1, 0, 0, at, 0, _HEADER, 0, 0, _SECTION, total, total - 1),
    )
    return header + data + headers
