"""A small memory of a crashed kernel: page tables, lowcores, VMCOREINFO and a kernel log.

It is made with struct from the Principles of Operation and Linux
``kernel/printk/printk_ringbuffer.h``, not with the harness's own readers or layouts.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from harness.s390x.cpu import CpuState
from harness.s390x.storestatus import status_area
from harness.s390x.zipl import cksm
from tests.support.cpus import make_cpu
from tests.support.evidence import (
    IDENTITY,
    IDENTITY_BASE,
    IMAGE,
    IMAGE_VADDR,
    KERNEL_IMAGE,
    MEMORY,
    OS_INFO_POINTER,
    PAGE,
    VMCORE_INFO_NOTE,
    VMCORE_INFO_POINTER,
    Load,
    crashed_memory,
    elf_note,
    stored,
    vmcore,
)

ROOT = 0x110000  # swapper_pg_dir
RING, DESCS, INFOS, TEXT = 0x120000, 0x121000, 0x122000, 0x124000
UTS, LOWCORE_PTR, OS_INFO = 0x126000, 0x127000, 0x128000
ASCE = ROOT | 7
KERNEL_ASCE = 0x388  # in a lowcore
IMAGE_SEGMENTS, IDENTITY_SEGMENTS, IMAGE_PAGES = 0x200000, 0x204000, 0x208000
LOW_SEGMENTS = 0x20C000
PREFIXES = (0x300000, 0x302000)
TEXT_OFFSET = 0x100000
AMODE31 = (0x3F0000, 0x3F2000)
PSW_MASK = 0x0404C00180000000  # of a running kernel
COUNT_BITS, SIZE_BITS = 4, 10
NEW_PSWS = range(0x1A0, 0x200, 16)
COMMITTED, FINALIZED, REUSABLE = 1, 2, 3
PANIC = "Kernel panic - not syncing: out of coffee"

SYMBOLS = {
    "init_uts_ns": UTS,
    "swapper_pg_dir": ROOT,
    "_stext": IMAGE[0],
    "prb": RING - 8,
    "lowcore_ptr": LOWCORE_PTR,
}
STRUCTS = """\
OFFSET(uts_namespace.name)=4
SIZE(printk_ringbuffer)=88
OFFSET(printk_ringbuffer.desc_ring)=0
OFFSET(printk_ringbuffer.text_data_ring)=48
OFFSET(prb_desc_ring.count_bits)=0
OFFSET(prb_desc_ring.descs)=8
OFFSET(prb_desc_ring.infos)=16
OFFSET(prb_desc_ring.head_id)=24
OFFSET(prb_desc_ring.tail_id)=32
SIZE(prb_desc)=24
OFFSET(prb_desc.state_var)=0
OFFSET(prb_desc.text_blk_lpos)=8
OFFSET(prb_data_blk_lpos.begin)=0
OFFSET(prb_data_blk_lpos.next)=8
SIZE(printk_info)=88
OFFSET(printk_info.seq)=0
OFFSET(printk_info.ts_nsec)=8
OFFSET(printk_info.text_len)=16
OFFSET(prb_data_ring.size_bits)=0
OFFSET(prb_data_ring.data)=8
OFFSET(atomic_long_t.counter)=0
LENGTH(lowcore_ptr)=8
"""


def virtual(absolute: int) -> int:
    """The virtual address in the kernel's image."""
    return IMAGE_VADDR + absolute - IMAGE[0]


def in_kernel(cpu: CpuState, asce: int = ASCE) -> CpuState:
    """The CPU with the kernel's ASCE in control register 13."""
    return replace(cpu, crs=(*cpu.crs[:13], asce, *cpu.crs[14:]))


def os_info(**changed: int) -> bytes:
    """The page in which the kernel says where it is."""
    values = {
        "identity_base": IDENTITY_BASE,
        "kaslr_offset": IMAGE_VADDR - TEXT_OFFSET,
        "kaslr_offset_phys": IMAGE[0] - TEXT_OFFSET,
        "vmemmap": 0,
        "amode31_start": AMODE31[0],
        "amode31_end": AMODE31[1],
        "image_start": IMAGE_VADDR,
        "image_end": IMAGE_VADDR + IMAGE[1] - IMAGE[0],
        "image_phys": IMAGE[0],
    } | changed
    page = bytearray(PAGE)
    struct.pack_into(">QIHH", page, 0, 0x4F53494E464F535A, 0, 1, 1)
    for number, value in enumerate(values.values(), 4):
        struct.pack_into(">Q", page, 32 + number * 20, value)
    struct.pack_into(">I", page, 8, cksm(bytes(page[12:]), seed=0))
    return bytes(page)


def vmcoreinfo() -> bytes:
    symbols = "".join(f"SYMBOL({name})={virtual(at):x}\n" for name, at in SYMBOLS.items())
    return (
        "OSRELEASE=6.12.1-test\nBUILD-ID=0123456789abcdef\nPAGESIZE=4096\n"
        f"{symbols}{STRUCTS}CRASHTIME=1700000000\n"
        f"IDENTITYBASE={IDENTITY_BASE:x}\nKERNELOFFSET={IMAGE_VADDR - TEXT_OFFSET:x}\n"
        f"KERNELOFFPHYS={IMAGE[0] - TEXT_OFFSET:x}\n"
        f"SAMODE31={AMODE31[0]:x}\nEAMODE31={AMODE31[1]:x}\n"
    ).encode()


@dataclass
class CrashedKernel:
    """Change it, then use ``memory()`` or ``elf()``. ``first_id`` is that of the oldest record."""

    log: Sequence[str] = ("Linux version 6.12.1-test", "two\nlines", PANIC)
    first_id: int = 5
    first_lpos: int = 0
    cpus: list[CpuState] = field(
        default_factory=lambda: [
            in_kernel(replace(make_cpu(at + 1), prefix=PREFIXES[at], psw_mask=PSW_MASK))
            for at in (0, 1)
        ]
    )
    vmcoreinfo: bytes = field(default_factory=vmcoreinfo)
    loads: tuple[Load, ...] = (KERNEL_IMAGE, IDENTITY)
    states: dict[int, int] = field(default_factory=dict)  # of records by position
    layout: dict[str, int] = field(default_factory=dict)  # what os_info says otherwise

    def memory(self) -> bytearray:
        memory = bytearray(_base_memory())
        note = elf_note(b"VMCOREINFO", 0, self.vmcoreinfo)
        put(memory, VMCORE_INFO_POINTER, ">Q", VMCORE_INFO_NOTE)
        memory[VMCORE_INFO_NOTE : VMCORE_INFO_NOTE + len(note)] = note
        put(memory, OS_INFO_POINTER, ">Q", OS_INFO)
        memory[OS_INFO : OS_INFO + PAGE] = os_info(**self.layout)
        _tables(memory)
        self._ring(memory)
        names = ("Linux", "crash", "6.12.1-test", "#1 SMP", "s390x", "(none)")
        for number, name in enumerate(names):
            at = UTS + 4 + 65 * number
            memory[at : at + 65] = name.encode().ljust(65, b"\0")
        memory[LOWCORE_PTR : LOWCORE_PTR + 64] = bytes(64)
        for number, cpu in enumerate(self.cpus):
            put(memory, LOWCORE_PTR + 8 * number, ">Q", IDENTITY_BASE + cpu.prefix)
            put(memory, cpu.prefix + KERNEL_ASCE, ">Q", ASCE)
            for at in NEW_PSWS:
                put(memory, cpu.prefix + at, ">2Q", PSW_MASK, virtual(IMAGE[0]) + at)
            area = cpu.prefix + 0x1200
            memory[area : area + 512] = status_area(cpu)
        return memory

    def elf(self, memory: bytes | None = None) -> bytes:
        return vmcore(
            bytes(self.memory() if memory is None else memory),
            [stored(cpu) for cpu in self.cpus],
            vmcoreinfo=self.vmcoreinfo,
            loads=self.loads,
        )

    def _ring(self, memory: bytearray) -> None:
        put(memory, RING - 8, ">Q", virtual(RING))
        last = self.first_id + len(self.log) - 1
        put(
            memory,
            RING,
            ">I4xQQQQ",
            COUNT_BITS,
            virtual(DESCS),
            virtual(INFOS),
            last,
            self.first_id,
        )
        put(memory, RING + 48, ">I4xQ", SIZE_BITS, virtual(TEXT))
        lpos, size = self.first_lpos, 1 << SIZE_BITS
        for number, text in enumerate(self.log):
            data, entry = text.encode(), (self.first_id + number)
            index = entry % (1 << COUNT_BITS)
            begin, after = lpos, lpos + -(-(8 + len(data)) // 8) * 8
            start = begin % size
            if begin // size != after // size:
                after, start = after // size * size + after - begin, 0
            if data:
                put(memory, TEXT + start, ">Q", entry)
                memory[TEXT + start + 8 : TEXT + start + 8 + len(data)] = data
                lpos = after
            else:
                begin = after = 3
            state = self.states.get(number, FINALIZED) << 62 | entry
            put(memory, DESCS + 24 * index, ">3Q", state, begin, after)
            put(memory, INFOS + 88 * index, ">QQH", number, number * 10**9 + 500, len(data))


@cache
def _base_memory() -> bytes:
    return crashed_memory()


def put(memory: bytearray, at: int, form: str, *values: int) -> None:
    struct.pack_into(form, memory, at, *values)


def _tables(memory: bytearray) -> None:
    """Tables that map the image by pages, and all memory at the identity base by segment frames.

    The section for 31-bit code is mapped to where it is.
    """
    invalid = struct.pack(">Q", 0x24) * 2048
    memory[ROOT : ROOT + 0x4000] = invalid
    for table in (IMAGE_SEGMENTS, IDENTITY_SEGMENTS, LOW_SEGMENTS):
        memory[table : table + 0x4000] = struct.pack(">Q", 0x20) * 2048
    memory[IMAGE_PAGES : IMAGE_PAGES + 0x800] = struct.pack(">Q", 0x400) * 256
    for start, table in (
        (IMAGE_VADDR, IMAGE_SEGMENTS),
        (IDENTITY_BASE, IDENTITY_SEGMENTS),
        (0, LOW_SEGMENTS),
    ):
        put(memory, ROOT + (start >> 31) * 8, ">Q", table | 7)
    put(memory, IMAGE_SEGMENTS + (IMAGE_VADDR >> 20 & 0x7FF) * 8, ">Q", IMAGE_PAGES)
    for number in range((IMAGE[1] - IMAGE[0]) >> 12):
        put(memory, IMAGE_PAGES + number * 8, ">Q", IMAGE[0] + number * 4096)
    put(memory, LOW_SEGMENTS + (AMODE31[0] >> 20) * 8, ">Q", AMODE31[0] >> 20 << 20 | 0x400)
    for number in range(MEMORY >> 20):
        put(memory, IDENTITY_SEGMENTS + number * 8, ">Q", number << 20 | 0x400)
