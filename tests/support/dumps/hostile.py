"""Small files with large sizes in them: each made a reader use gigabytes, or minutes.

``SHAPES`` are functions that write such a file to a path.
"""

from __future__ import annotations

import random
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.host.tools import find_tool
from tests.support.cpus import make_cpu
from tests.support.disks.tables import (
    EXTENDED,
    LINUX,
    dos_sector,
    empty,
    gpt_disk,
    gpt_parts,
    write_at,
)
from tests.support.dumps import kdump as kdumps
from tests.support.dumps import lkcd, s390
from tests.support.evidence import IDENTITY_BASE, VMCOREINFO, cpu_notes, elf_note
from tests.support.kernels.crashed_kernel import IDENTITY_SEGMENTS, RING, CrashedKernel, put

PAGE, MIB = 4096, 1 << 20
NOTES = cpu_notes(make_cpu(1)) + elf_note(b"VMCOREINFO", 0, VMCOREINFO)
TINY_NOTE = struct.pack(">3I", 1, 0, 1) + b"A\0\0\0"
LOADS = 65533  # with a PT_NOTE, the most program headers that e_phnum can count
DATA = random.Random(390).randbytes(PAGE)

Loads = Iterable[tuple[int, int, int]]  # p_paddr, p_filesz, p_memsz; all of the same bytes


def elf(path: Path, loads: Loads, *, notes: bytes = NOTES, size: int = PAGE) -> None:
    loads = list(loads)
    count = 1 + len(loads)
    at = 64 + 56 * count
    data = -(-(at + len(notes)) // PAGE) * PAGE
    ident = b"\x7fELF\x02\x02\x01".ljust(16, b"\0")
    head = ident + struct.pack(">HHIQQQIHHHHHH", 4, 22, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    head += struct.pack(">IIQQQQQQ", 4, 7, at, 0, 0, len(notes), len(notes), 4)
    head += b"".join(
        struct.pack(">IIQQQQQQ", 1, 7, data, paddr, paddr, in_file, in_memory, PAGE)
        for paddr, in_file, in_memory in loads
    )
    with path.open("wb") as file:
        file.write(head + notes)
        file.seek(data)
        file.write(DATA)
        file.truncate(data + size)


ONE_PAGE = ((0, PAGE, PAGE),)


def page_loads(step: int, order: Callable[[range], Iterable[int]] = iter) -> Loads:
    return [(number * step, PAGE, PAGE) for number in order(range(LOADS))]


def overlapping_loads(path: Path) -> None:
    elf(path, [(number * PAGE, MIB, MIB) for number in range(LOADS)], size=MIB)


def many_vmcoreinfo_lines(path: Path) -> None:
    lines = b"OSRELEASE=1\n" + b"".join(b"K%d=1\n" % number for number in range(1_000_000))
    elf(path, ONE_PAGE, notes=cpu_notes(make_cpu(1)) + elf_note(b"VMCOREINFO", 0, lines))


def log_of_shared_text(path: Path) -> None:
    """32768 records, which share the same 64 KiB of text."""
    crashed, records = CrashedKernel(), 32768
    info = crashed.vmcoreinfo
    for old, new in (
        (b"SIZE(printk_info)=88", b"SIZE(printk_info)=8"),
        (b"OFFSET(printk_info.ts_nsec)=8", b"OFFSET(printk_info.ts_nsec)=0"),
        (b"OFFSET(printk_info.text_len)=16", b"OFFSET(printk_info.text_len)=0"),
    ):
        assert old in info
        info = info.replace(old, new)
    crashed.vmcoreinfo = info
    memory = crashed.memory()
    descs, infos, texts = 0x210000, 0x310000, 0x360000
    at = [IDENTITY_BASE + place for place in (descs, infos, texts)]
    put(memory, RING, ">I4xQQQQ", 15, at[0], at[1], records - 1, 0)
    put(memory, RING + 48, ">I4xQ", 19, at[2])
    for number in range(records):
        put(memory, descs + 24 * number, ">3Q", 2 << 62 | number, 8 * number, 8 * number + 65544)
        put(memory, texts + 8 * number, ">Q", number)
    memory[infos : infos + 8 * records] = b"\xff" * (8 * records)
    path.write_bytes(crashed.elf(bytes(memory)))


def log_of_many_records(path: Path) -> None:
    """16 million records, all in the same few pages."""
    crashed = CrashedKernel()
    memory = crashed.memory()
    for number in range(2048):
        put(memory, IDENTITY_SEGMENTS + number * 8, ">Q", 0x200000 | 0x400)
    places = IDENTITY_BASE + 0x100000, IDENTITY_BASE
    put(memory, RING, ">I4xQQQQ", 24, *places, (1 << 24) - 1 + 5, 5)
    path.write_bytes(crashed.elf(bytes(memory)))


def kdump_of_alternate_pages(path: Path) -> None:
    """Four million runs of one page each, in a bitmap of 1 MiB."""
    size = MIB
    whole = kdumps.kdump(max_mapnr=8 * size, bitmap_blocks=2 * size // PAGE)
    path.write_bytes(whole[: kdumps.BITMAP_AT] + b"\xaa" * 2 * size + bytes(PAGE))


def flattened_bytes(path: Path) -> None:
    """Two million records of one byte."""
    head = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    record = struct.pack(">qq", 0, 1) + b"K"
    path.write_bytes(head.ljust(PAGE, b"\0") + record * 2_000_000 + struct.pack(">qq", -1, -1))


def lkcd_of_alternate_pages(path: Path) -> None:
    count = 1_200_000
    pages = (struct.pack(">QII", 2 * number * PAGE, 1, 2) + b"x" for number in range(count))
    head = lkcd.header(mem_end=2 * count * PAGE)
    path.write_bytes(head + b"".join(pages) + lkcd.END_MARKER)


def large_entries(path: Path) -> None:
    """4 GiB of memory, as 64 compressed entries of 64 MiB."""
    size, count = 64 * MIB, 64
    packed = zlib.compress(bytes(MIB) * 64, 1)
    packed += bytes(-len(packed) % PAGE)
    blocks = len(packed) // PAGE
    offsets = struct.pack(f">{count}I", *(number * blocks for number in range(count)))
    head = struct.pack(">3QI20xI", 0, count * size, 1, count * blocks, count) + offsets
    segment = head.ljust(PAGE, b"\0") + packed * count
    path.write_bytes(s390.extended(count * size, [segment], (), size))


def s390_of(memory: int, magic: int = s390.PLAIN) -> bytes:
    """A header with a memory size, but without memory."""
    data = bytearray(s390.header(1 << 32, magic=magic))
    pages = memory // PAGE & 0xFFFFFFFF
    struct.pack_into(">3QI", data, 0x18, memory, 0, memory, pages)
    struct.pack_into(">Q", data, 0x54, memory)
    return bytes(data)


def make_ext(path: Path, kind: str, block: int, size: int, *options: str) -> None:
    """A file system of ``size`` bytes, made by the real mke2fs."""
    subprocess.run(
        [
            *(find_tool("mke2fs"), "-q", "-F", "-t", kind, "-b", str(block), *options),
            *(str(path), f"{size >> 10}k"),
        ],
        check=True,
        capture_output=True,
    )


def change_ext(path: Path, *requests: str) -> None:
    """Change the file system with requests to debugfs."""
    script = "".join(f"{request}\n" for request in requests).encode()
    argv = [find_tool("debugfs"), "-w", "-f", "-", str(path)]
    subprocess.run(argv, input=script, check=True, capture_output=True)


def circular_blocks(path: Path) -> None:
    """A triple indirect block that names itself 256 times."""
    block = 1000
    make_ext(path, "ext2", 1024, 2 * MIB)
    change_ext(
        path,
        "write /dev/null dump.0",
        f"set_inode_field dump.0 block[TIND] {block}",
        f"set_inode_field dump.0 size {16 << 30}",
    )
    with path.open("r+b") as image:
        image.seek(block * 1024)
        image.write(struct.pack("<I", block) * 256)


def gpt_of_circular_blocks(path: Path) -> None:
    """A thousand partitions, all at the place of the same file system."""
    circular_blocks(path)
    inside, count = path.read_bytes(), 1024
    start = 40 + count // 4
    end = start + len(inside) // 512
    places = {number + 1: (start + number % 2, end) for number in range(count)}
    empty(path, (end + start) * 512)
    write_at(path, start * 512, inside)
    for offset, data in gpt_parts(512, end + start - 1, places, count=count).items():
        write_at(path, offset, data)


def gpt_of_empty_partitions(path: Path) -> None:
    """As many partitions as are read, each at a place of its own, and none with a file system."""
    count = 8192
    places = {number + 1: (4096 + number, 4096 + number) for number in range(count)}
    gpt_disk(path, 8 * MIB, 512, places, count=count)


def endless_logical_partitions(path: Path) -> None:
    """A chain of tables of three partitions each, longer than the numbers that Linux has."""
    sectors = 60_000
    empty(path, 64 + 512 * sectors)
    write_at(path, 0, dos_sector((EXTENDED, 1, sectors)))
    for number in range(2000):
        link = (EXTENDED, number + 1, 8)
        table = dos_sector((LINUX, 1, 4), link) if number % 4 else dos_sector(link)
        write_at(path, 512 * (1 + number), table)


def many_dumps(path: Path) -> None:
    """Thousands of files dump.N."""
    files = path.with_name("files")
    files.mkdir()
    for number in range(8000):
        (files / f"dump.{number}").touch()
    make_ext(path, "ext2", 1024, 8 * MIB, "-N", "8192", "-d", str(files))


def bomb_kernel(path: Path) -> None:
    """A kernel image that unpacks to 320 MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    head = bytearray(0x10500)
    head[0x10008:0x1000E] = b"S390EP"
    path.write_bytes(bytes(head) + first + again * 319)


SHAPES: dict[str, Callable[[Path], None]] = {
    "adjacent PT_LOADs": lambda path: elf(path, page_loads(PAGE)),
    "PT_LOADs with gaps": lambda path: elf(path, page_loads(2 * PAGE)),
    "PT_LOADs in reverse": lambda path: elf(path, page_loads(2 * PAGE, reversed)),
    "overlapping PT_LOADs": overlapping_loads,
    "p_memsz of 2^63": lambda path: elf(path, [(0, PAGE, 1 << 63)]),
    "sparse 8 TiB": lambda path: elf(path, [(0, 8 << 40, 8 << 40)], size=8 << 40),
    "many notes": lambda path: elf(path, ONE_PAGE, notes=TINY_NOTE * 1_000_000),
    "64 MiB of notes": lambda path: elf(path, ONE_PAGE, notes=TINY_NOTE * 4_000_000),
    "600 CPUs": lambda path: elf(path, ONE_PAGE, notes=cpu_notes(make_cpu(1)) * 600),
    "many CPUs": lambda path: elf(path, ONE_PAGE, notes=cpu_notes(make_cpu(1)) * 10_000),
    "very many CPUs": lambda path: elf(path, ONE_PAGE, notes=cpu_notes(make_cpu(1)) * 50_000),
    "VMCOREINFO of 10 MB": many_vmcoreinfo_lines,
    "log of shared text": log_of_shared_text,
    "log of 2^24 records": log_of_many_records,
    "kdump of alternate pages": kdump_of_alternate_pages,
    "flattened bytes": flattened_bytes,
    "lkcd of alternate pages": lkcd_of_alternate_pages,
    "entries of 64 MiB": large_entries,
    "s390 of 2^63": lambda path: void(path.write_bytes(s390_of(1 << 63) + bytes(PAGE))),
    "s390 of 2^64": lambda path: void(path.write_bytes(s390_of((1 << 64) - PAGE) + bytes(PAGE))),
    "circular blocks": circular_blocks,
    "GPT of circular blocks": gpt_of_circular_blocks,
    "GPT of empty partitions": gpt_of_empty_partitions,
    "endless logical partitions": endless_logical_partitions,
    "many dump.N": many_dumps,
}


def void(_: object) -> None:
    """Write the file; for a lambda that returns None."""
