"""A vmlinux that has only a build-id."""

from __future__ import annotations

import struct

from harness.dump.formats.elf.c_elf import ELFMAG, EM_S390, PT_NOTE, c_elf

BANNER = b"Linux version 6.12.1 (me@here) (gcc 12) #7 SMP Thu Jan 1\n"
ID = bytes(range(20))
ANOTHER_ID = bytes(range(1, 21))


def note(build_id: bytes) -> bytes:
    return struct.pack(">3I", 4, len(build_id), 3) + b"GNU\0" + build_id


def vmlinux(
    build_id: bytes | None = ID, banner: bytes = BANNER, machine: int = EM_S390, bits: int = 64
) -> bytes:
    notes = b"" if build_id is None else note(build_id)
    header, entry = len(c_elf.Elf64_Ehdr), len(c_elf.Elf64_Phdr)
    ident = ELFMAG + bytes([bits // 32, 2, 1]) + bytes(9)
    ehdr = struct.pack(
        ">16sHHIQQQIHHHHHH", ident, 2, machine, 1, 0, header, 0, 0, header, entry, 1, 0, 0, 0
    )
    begin = header + entry
    phdr = struct.pack(">IIQQQQQQ", PT_NOTE, 4, begin, 0, 0, len(notes), len(notes), 4)
    return ehdr + phdr + notes + banner
