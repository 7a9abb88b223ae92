"""LKCD dumps, as the dump tools of s390-tools write them."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

from harness.s390x.cpu import CpuState
from harness.s390x.storestatus import status_area
from tests.support.cpus import make_cpu
from tests.support.evidence import VMCOREINFO, elf_note

PAGE = 4096
HEADER_SIZE = 0x10000
RAW, COMPRESSED, END = 1, 2, 4
PAGES = 80
CPUS = [replace(make_cpu(n), prefix=n * 0x2000, vxrs_low=None, vxrs_high=None)
        for n in (1, 2)]  # fmt: skip


def memory() -> bytes:
    content = bytearray(random.Random(8).randbytes(10 * PAGE) * (PAGES // 10))
    for number in range(0, PAGES, 4):
        content[number * PAGE : (number + 1) * PAGE] = bytes(PAGE)
    for cpu in CPUS:
        content[cpu.prefix + 0x1200 : cpu.prefix + 0x1400] = status_area(cpu)
    struct.pack_into(">Q", content, 0xE0C, 0x9000)
    note = elf_note(b"VMCOREINFO", 0, VMCOREINFO)
    content[0x9000 : 0x9000 + len(note)] = note
    return bytes(content)


MEMORY = memory()
END_MARKER = struct.pack(">QII", 0, 0, END)
HOLES = [number for number in range(PAGES) if not 30 <= number < 50 and number != 77]


def header(
    *,
    compress: int = 2,
    version: int = 8,
    page_size: int = PAGE,
    machine: bytes = b"s390x",
    cpus: Sequence[CpuState] | None = CPUS,
    cpu_cnt: int | None = None,
    hdr_size: int | None = None,
    mem_end: int = PAGES * PAGE,
) -> bytes:
    """The header of s390-tools' zdump/df_lkcd.h, packed."""
    names = b"".join(
        name.ljust(65, b"\0") for name in (b"<unknown>", b"", b"5.4", b"", machine, b"")
    )
    size = 8 + 4 * 4 + 3 * 8 + 4 + 0x100 + 16 + 6 * 65 + 8 + 12
    head = bytes.fromhex("a8190173618f23ed")
    head += struct.pack(">4I", version, size if hdr_size is None else hdr_size, 4, page_size)
    head += struct.pack(">3QI", mem_end, 0, mem_end, PAGES)
    head += b"zSeries-dump (CPUID = ff)".ljust(0x100, b"\0") + struct.pack(">2Q", 1234567890, 5)
    head += names + struct.pack(">Q3I", 0, compress, 0, 0)
    assert len(head) == size
    if cpus is not None:
        count = len(cpus) if cpu_cnt is None else cpu_cnt
        head += struct.pack(">Q2I2H", 0x733339302D64756D, 0, 2072, count, len(cpus))
        head += b"".join(struct.pack(">I", cpu.prefix) for cpu in cpus)
    return head.ljust(HEADER_SIZE, b"\0")


def page_at(number: int, *, pack: bool) -> bytes:
    return page_of(number, MEMORY[number * PAGE : (number + 1) * PAGE], pack=pack)


def page_of(number: int, data: bytes, *, pack: bool = True) -> bytes:
    """One page with its header."""
    packed = zlib.compress(data) if pack else data
    if not pack or len(packed) > PAGE:
        return struct.pack(">QII", number * PAGE, PAGE, RAW) + data
    return struct.pack(">QII", number * PAGE, len(packed), COMPRESSED) + packed


def pages(numbers: Sequence[int], *, pack: bool = True) -> bytes:
    return b"".join(page_at(number, pack=pack) for number in numbers)


def lkcd(numbers: Sequence[int] = HOLES, *, pack: bool = True, end: bytes = END_MARKER) -> bytes:
    return header(compress=2 if pack else 0) + pages(numbers, pack=pack) + end
