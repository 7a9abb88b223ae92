"""Dumps of makedumpfile: diskdump, and flattened."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from importlib import import_module

import zstandard

from tests.support.cpus import make_cpu
from tests.support.evidence import VMCOREINFO, cpu_notes, elf_note

PAGE = 4096
ZLIB, LZO, SNAPPY, INCOMPLETE, ZSTD = 1, 2, 4, 8, 0x20
CPUS = [make_cpu(1), make_cpu(2)]
NOTES = b"".join(cpu_notes(cpu, number) for number, cpu in enumerate(CPUS, 1)) + elf_note(
    b"VMCOREINFO", 0, VMCOREINFO
)
SUB_HEADER, NOTES_AT, BITMAP_AT = PAGE, PAGE + 0x100, 3 * PAGE
DESCRIPTORS = BITMAP_AT + 2 * PAGE
PAGES = 24
# the machine has no page 5 and no pages from 20 on; pages 2, 3 and 9 were left out
MEMORY = {number for number in range(20) if number != 5}
DUMPED = sorted(MEMORY - {2, 3, 9})


def page(number: int) -> bytes:
    """Memory in which only pages 7 and 8 are zero."""
    return bytes(PAGE) if number in (7, 8) else bytes([number + 1]) * PAGE


def packed(data: bytes, method: int) -> bytes:
    if method == ZLIB:
        return zlib.compress(data)
    if method == LZO:
        return import_module("lzallright").LZOCompressor().compress(data)
    if method == SNAPPY:
        return bytes(import_module("cramjam").snappy.compress_raw(data))
    return zstandard.ZstdCompressor().compress(data) if method == ZSTD else data


def bitmap(numbers: Collection[int]) -> bytes:
    bits = sum(1 << number for number in numbers)
    return bits.to_bytes(PAGE, "little")


def kdump(
    method: int = ZLIB,
    *,
    status: int | None = None,
    version: int = 6,
    machine: bytes = b"s390x",
    order: str = ">",
    block_size: int = PAGE,
    split: int = 0,
    max_mapnr: int = PAGES,
    bitmap_blocks: int = 2,
    notes: bytes = NOTES,
) -> bytes:
    """A dump as in makedumpfile's IMPLEMENTATION; the sub header has two blocks."""
    utsname = b"".join(
        name.ljust(65, b"\0") for name in (b"Linux", b"host", b"6.12.1", b"#1", machine, b"")
    )
    header = b"KDUMP   " + struct.pack(f"{order}I", version) + utsname + bytes(6)
    header += struct.pack(
        f"{order}QQIIIIIIIIII",
        *(1700000000, 5, method if status is None else status, block_size, 2, bitmap_blocks),
        *(max_mapnr & 0xFFFFFFFF, 0, 0, 0, 0, len(CPUS)),
    )
    sub = struct.pack(">QII2Q", 0, 31, split, 0, 0)
    at = NOTES_AT + notes.find(VMCOREINFO)
    sub += struct.pack(">4Q", at, len(VMCOREINFO), NOTES_AT, len(notes))
    sub += struct.pack(">5Q", 0, 0, 0, 0, max_mapnr)
    head = header.ljust(SUB_HEADER, b"\0") + sub.ljust(NOTES_AT - SUB_HEADER, b"\0") + notes
    head = head.ljust(BITMAP_AT, b"\0") + bitmap(MEMORY) + bitmap(DUMPED)
    data_at = DESCRIPTORS + 24 * len(DUMPED)
    descriptors = data = b""
    for number in DUMPED:
        stored = packed(page(number), method)
        raw = len(stored) >= PAGE
        descriptors += struct.pack(
            ">QIIQ", data_at + len(data), len(stored), 0 if raw else method, 0
        )
        data += stored
    return head + descriptors + data


def flat(content: bytes, pieces: Collection[tuple[int, int]], *, end: bool = True) -> bytes:
    """A flattened dump with records in the order of ``pieces``: (start, end) in ``content``."""
    records = b"".join(
        struct.pack(">qq", start, stop - start) + content[start:stop] for start, stop in pieces
    )
    head = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    return head.ljust(PAGE, b"\0") + records + (struct.pack(">qq", -1, -1) if end else b"")
