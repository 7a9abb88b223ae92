"""Small right inputs for every reader."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.fuzz import readers
from tests.fuzz.mutate import Seed
from tests.support.disks.dump_partition import mbr
from tests.support.disks.ext import partition_table
from tests.support.disks.tables import EXTENDED, LINUX, dos_sector, gpt_parts
from tests.support.dumps import kdump as kdumps
from tests.support.dumps import lkcd as lkcds
from tests.support.dumps import s390 as s390_dumps
from tests.support.dumps import user_core
from tests.support.evidence import (
    IDENTITY_BASE,
    PAGE,
    VMCORE_INFO_NOTE,
    Load,
    elf_note,
    stored,
    superblock,
    vmcore,
)
from tests.support.kernels.crashed_kernel import (
    DESCS,
    IMAGE_PAGES,
    IMAGE_SEGMENTS,
    INFOS,
    LOWCORE_PTR,
    PREFIXES,
    RING,
    ROOT,
    TEXT,
    UTS,
    CrashedKernel,
)

Read = Callable[[bytes, Path], None]

# the parts of the crashed kernel's memory that are not zero
KERNEL_PARTS = (
    (0, 0x2000),
    (ROOT, ROOT + 0x4000),
    (RING - PAGE, LOWCORE_PTR + PAGE),
    (VMCORE_INFO_NOTE, VMCORE_INFO_NOTE + PAGE),
    (IMAGE_SEGMENTS, IMAGE_PAGES + PAGE),
    (PREFIXES[0], PREFIXES[1] + 0x2000),
)
MEMORY_END = KERNEL_PARTS[-1][1]


@dataclass(frozen=True)
class Reader:
    name: str
    read: Read
    seeds: tuple[Seed, ...]


@cache
def elf() -> bytes:
    crashed = CrashedKernel()
    loads = tuple(Load(at, end - at, IDENTITY_BASE + at) for at, end in KERNEL_PARTS)
    cpus = [stored(cpu) for cpu in crashed.cpus]
    return vmcore(bytes(crashed.memory()), cpus, vmcoreinfo=crashed.vmcoreinfo, loads=loads)


def elf_offset(address: int) -> int:
    """The file offset in ``elf()`` of the byte at an absolute address."""
    at = len(elf()) - sum(end - start for start, end in KERNEL_PARTS)
    for start, end in KERNEL_PARTS:
        if start <= address < end:
            return at + address - start
        at += end - start
    raise ValueError(f"{address:#x} is in none of the kernel's parts")


def elf_seed(*addresses: tuple[int, int]) -> Seed:
    """An ELF dump that is damaged in these (address, size) ranges."""
    at = [(elf_offset(address), elf_offset(address) + size) for address, size in addresses]
    return Seed(elf(), at)


def s390_memory() -> tuple[bytearray, tuple[int, ...]]:
    """Memory that is zero except the kernel's parts, so that compressed dumps are small."""
    crashed = CrashedKernel()
    whole, memory = crashed.memory(), bytearray(MEMORY_END)
    for start, end in KERNEL_PARTS:
        memory[start:end] = whole[start:end]
    for number, cpu in enumerate(crashed.cpus):
        s390_dumps.store(memory, stored(cpu), PREFIXES[0] + 0x1400 + 0x400 * number)
    return memory, tuple(cpu.prefix for cpu in crashed.cpus)


def s390() -> Seed:
    memory, prefixes = s390_memory()
    content = s390_dumps.plain(bytes(memory), prefixes)
    return Seed(
        content, [(0, 0x70), (0x800, 0x810), (PAGE, 3 * PAGE), (len(content) - 16, len(content))]
    )


def s390_ext() -> Seed:
    """Three segments: one raw, one with a compressed and a raw entry, one all compressed."""
    memory, prefixes = s390_memory()
    size = s390_dumps.MIB // 4
    pieces = (
        s390_dumps.raw_segment(0, bytes(memory[:0x8000])),
        s390_dumps.compressed_segment(
            4 * size, bytes(memory[4 * size : 6 * size]), entry_size=size, raw=[1]
        ),
        s390_dumps.compressed_segment(
            8 * size, bytes(memory[8 * size :]), (1 << 64) - 1, entry_size=size
        ),
    )
    content = s390_dumps.extended(len(memory), pieces, prefixes, size)
    starts, at = [], PAGE
    for piece in pieces:
        starts.append((at, at + 0x60))
        at += len(piece)
    return Seed(content, [(0, 0x70), (0x800, 0x808), *starts, (at, at + 16)])


def kdump(method: int) -> Seed:
    content = kdumps.kdump(method)
    return Seed(content, [(0, 512), (PAGE, PAGE + 0x400), (3 * PAGE, 5 * PAGE + 600)])


def flattened(content: bytes) -> Seed:
    """A flattened dump in three unsorted records."""
    cuts = (0, 464, len(content) // 2, len(content))
    records = [(cuts[1], cuts[2]), (cuts[0], cuts[1]), (cuts[2], cuts[3])]
    at = PAGE + 16 + cuts[2] - cuts[1]
    ends = (at, at + 16 + cuts[1])
    hot = [(16, 32), (PAGE, PAGE + 16), *((end, end + 16) for end in ends), (at, at + 500)]
    return Seed(kdumps.flat(content, records), hot)


def lkcd(*, pack: bool) -> Seed:
    content = lkcds.header(compress=2 if pack else 0)
    content += lkcds.pages(range(8), pack=pack) + lkcds.END_MARKER
    start = lkcds.HEADER_SIZE
    return Seed(content, [(0, 800), (start, start + 32), (start, len(content))])


PART_START, PART_SIZE = 2 * PAGE, 0x50000
SB_AT = PART_START + PART_SIZE - PAGE


def dump_disk() -> bytes:
    """A very small disk, prepared as by zipl."""
    dump = elf()
    fields = list(struct.unpack_from(">9Q", superblock(dump)))
    fields[2:6] = PART_START, PART_SIZE, 0, len(dump)
    disk = bytearray(PART_START + PART_SIZE)
    disk[:512] = mbr(SB_AT)
    disk[PART_START : PART_START + len(dump)] = dump
    struct.pack_into(">9Q", disk, SB_AT, *fields)
    return bytes(disk)


def user_cores() -> tuple[Seed, ...]:
    """Cores of processes; their headers and notes are damaged."""
    cores = [user_core.core(), user_core.core(user_core.I386, user_core.GCORE)]
    return tuple(Seed(content, [(0, 200), (200, len(content) - PAGE)]) for content in cores)


def dos_disk() -> Seed:
    disk = bytearray(partition_table((1, 4), (5, 3)) + bytes(4096))
    struct.pack_into("<I", disk, 512 + 1024 + 4, 1)  # s_blocks_count_lo of a file system
    struct.pack_into("<H", disk, 512 + 1024 + 56, 0xEF53)
    return Seed(bytes(disk), [(446, 512), (512 + 1024, 512 + 1024 + 92)])


def logical_disk(sector: int) -> Seed:
    """Two logical partitions in an extended one."""
    disk = bytearray(16 * sector)
    link = (LINUX, 1, 2), (EXTENDED, 4, 4)
    for number, entries in {0: ((LINUX, 1, 1), (EXTENDED, 2, 14)), 2: link, 6: link[:1]}.items():
        disk[number * sector : number * sector + 512] = dos_sector(*entries)
    tables = [(at * sector + 446, at * sector + 512) for at in (0, 2, 6)]
    return Seed(bytes(disk), tables)


def gpt_disk(sector: int) -> Seed:
    disk = bytearray(16 * sector)
    parts = gpt_parts(sector, 15, {n: (3 + n, 3 + n) for n in range(1, 5)}, count=4)
    for offset, data in parts.items():
        disk[offset : offset + len(data)] = data
    places = [(offset, offset + len(data)) for offset, data in parts.items()]
    return Seed(bytes(disk), places)


LISTING = b"/2/040755/0/0/./1024/\n/2/040755/0/0/../1024/\n/12/100644/0/0/dump.0/20000/\n"
INODE = b"""\
Inode: 12   Type: regular    Mode:  0644   Flags: 0x0
Size: 20000
 mtime: 0x000003e8:00000000 -- Thu Jan  1 00:16:40 1970
BLOCKS:
(0-11):690-701, (IND):702, (12-15[u]):703-706, (17):720
TOTAL: 18
"""


def debugfs() -> Seed:
    head = bytearray(2048)
    struct.pack_into("<I", head, 1024 + 24, 0)  # s_log_block_size
    struct.pack_into("<H", head, 1024 + 56, 0xEF53)
    content = bytes(head) + LISTING + readers.PARTS + INODE
    return Seed(content, [(1024, 1082), (2048, len(content)), (2048 + len(LISTING), len(content))])


def notes() -> Seed:
    content = elf()
    start = content.index(elf_note(b"CORE", 3, bytes(136))[:12])
    return Seed(content[:12288], [(start, start + 3000), (start, start + 40), (64, 120)])


def vmcoreinfo() -> Seed:
    """VMCOREINFO in both places: in its note, and in memory."""
    content, text = elf(), CrashedKernel().vmcoreinfo
    places = (content.index(text), content.rindex(text))
    return Seed(content, [(at, at + len(text)) for at in places])


def all_readers() -> tuple[Reader, ...]:
    plain = elf()
    disk = Seed(dump_disk(), [(0, 0x80), (SB_AT, SB_AT + 72), (PART_START, PART_START + 512)])
    partition = Seed(
        disk.content[PART_START:], [(0, 500), (PART_SIZE - PAGE, PART_SIZE - PAGE + 72)]
    )
    meta = b"# ngdump\nversion=1\nfile=dump.elf\nsha256sum=" + b"0" * 64 + b"\n"
    tables_of_disks = (
        dos_disk(),
        *(make(sector) for make in (logical_disk, gpt_disk) for sector in (512, 4096)),
    )
    log = ((RING - 8, 0x60), (DESCS, 0x180), (INFOS, 0x580), (TEXT, 0x80))
    page_tables = (
        (ROOT, 0x4000),
        (IMAGE_SEGMENTS, 0x4000),
        (IMAGE_PAGES, 0x800),
        (UTS, 400),
        (LOWCORE_PTR, 64),
    )
    any_dump = readers.read_any_dump
    packed = tuple(kdump(method) for method in (0, kdumps.ZLIB, kdumps.ZSTD))
    return (
        Reader("elf", any_dump, (Seed(plain, [(0, 500), (500, 3500)]),)),
        Reader("user core", readers.read_user_core, user_cores()),
        Reader("notes", readers.read_notes, (notes(),)),
        Reader("s390", any_dump, (s390(),)),
        Reader("s390_ext", any_dump, (s390_ext(),)),
        Reader("kdump", any_dump, packed),
        Reader("flattened", any_dump, (flattened(packed[1].content), flattened(plain))),
        Reader("lkcd", any_dump, (lkcd(pack=True), lkcd(pack=False))),
        Reader("dump disk", any_dump, (disk,)),
        Reader("dump partition", any_dump, (partition,)),
        Reader("partition table", readers.read_partition_table, tables_of_disks),
        Reader("ngdump.meta", readers.read_ngdump, (Seed(meta, [(0, len(meta))]),)),
        Reader("debugfs", readers.read_debugfs, (debugfs(),)),
        Reader("vmcoreinfo", readers.read_kernel, (vmcoreinfo(),)),
        Reader("kernel log", readers.read_kernel, (elf_seed(*log),)),
        Reader("page tables", readers.read_kernel, (elf_seed(*page_tables),)),
    )
