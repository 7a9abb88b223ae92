"""Dumps of makedumpfile: diskdump, and flattened."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Sequence
from importlib import import_module

import zstandard

from harness.dump.reader import Dump
from harness.s390x.cpu import CpuState
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
    head = _head(
        *(version, machine, order, method if status is None else status, block_size),
        *(bitmap_blocks, max_mapnr, split, notes, VMCOREINFO),
    )
    head += bitmap(MEMORY) + bitmap(DUMPED)
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


def whole_kdump(dump: Dump, cpus: Sequence[CpuState]) -> bytes:
    """All memory of ``dump``, which begins at 0 and has no gaps; ``cpus`` as stored."""
    vmcoreinfo = dump.vmcoreinfo or b""
    notes = b"".join(map(cpu_notes, cpus)) + elf_note(b"VMCOREINFO", 0, vmcoreinfo)
    count = dump.memory_map[-1].end // PAGE
    blocks = -(-count // (8 * PAGE))
    bits = (b"\xff" * (count // 8)).ljust(blocks * PAGE, b"\0")
    head = _head(
        *(6, b"s390x", ">", ZLIB, PAGE, 2 * blocks, count, 0, notes, vmcoreinfo), len(cpus)
    )
    head += bits + bits
    data = bytearray(bytes(PAGE))  # the page that all zero pages share
    data_at = len(head) + 24 * count
    descriptors = bytearray()
    for number in range(count):
        content = dump.read(number * PAGE, PAGE)
        if not any(content):
            descriptors += struct.pack(">QIIQ", data_at, PAGE, 0, 0)
            continue
        stored = packed(content, ZLIB)
        raw = len(stored) >= PAGE
        at = data_at + len(data)
        data += content if raw else stored
        descriptors += struct.pack(">QIIQ", at, PAGE if raw else len(stored), 0 if raw else ZLIB, 0)
    return head + bytes(descriptors) + bytes(data)


def _head(
    version: int,
    machine: bytes,
    order: str,
    status: int,
    block_size: int,
    bitmap_blocks: int,
    max_mapnr: int,
    split: int,
    notes: bytes,
    vmcoreinfo: bytes,
    cpus: int = len(CPUS),
) -> bytes:
    """All that is before the bitmaps; the sub header has two blocks, or more if it needs them."""
    blocks = max(2, -(-(NOTES_AT - SUB_HEADER + len(notes)) // PAGE))
    utsname = b"".join(
        name.ljust(65, b"\0") for name in (b"Linux", b"host", b"6.12.1", b"#1", machine, b"")
    )
    header = b"KDUMP   " + struct.pack(f"{order}I", version) + utsname + bytes(6)
    header += struct.pack(
        f"{order}QQIIIIIIIIII",
        *(1700000000, 5, status, block_size, blocks, bitmap_blocks),
        *(max_mapnr & 0xFFFFFFFF, 0, 0, 0, 0, cpus),
    )
    sub = struct.pack(">QII2Q", 0, 31, split, 0, 0)
    at = NOTES_AT + notes.find(vmcoreinfo)
    sub += struct.pack(">4Q", at, len(vmcoreinfo), NOTES_AT, len(notes))
    sub += struct.pack(">5Q", 0, 0, 0, 0, max_mapnr)
    head = header.ljust(SUB_HEADER, b"\0") + sub.ljust(NOTES_AT - SUB_HEADER, b"\0") + notes
    return head.ljust(SUB_HEADER + blocks * PAGE, b"\0")


def flat(content: bytes, pieces: Collection[tuple[int, int]], *, end: bool = True) -> bytes:
    """A flattened dump with records in the order of ``pieces``: (start, end) in ``content``."""
    records = b"".join(
        struct.pack(">qq", start, stop - start) + content[start:stop] for start, stop in pieces
    )
    head = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    return head.ljust(PAGE, b"\0") + records + (struct.pack(">qq", -1, -1) if end else b"")
