"""Synthetic evidence: a small crash and its right dump, which tests can damage.

The dump is made with struct from the layouts in Linux ``arch/s390/kernel/crash_dump.c``, not with
the harness's own readers or layouts.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.s390x.cpu import CpuState
from harness.s390x.storestatus import additional_status_area, status_area
from harness.s390x.zipl import cksm
from tests.support.cpus import make_cpu

PAGE = 4096
MEMORY = 4 << 20
STATUS_AREA, MCESAD = 0x1200, 0x11B0  # absolute, or in a lowcore
IDENTITY_BASE = 0x2A_0000_0000  # since Linux 6.10 the identity mapping need not start at 0
IMAGE = (0x100000, 0x140000)  # the crashed kernel's image
IMAGE_VADDR = 0x3FF_E000_0000
DATA = ((0, 0x20000), (0x100000, 0x1A0000), (0x3F0000, MEMORY))
EMPTY = (0x200000, 0x300000)  # never written to, like all but DATA: a hole in ram.img
VMCORE_INFO_POINTER, VMCORE_INFO_NOTE = 0xE0C, 0x150000
OS_INFO_POINTER = 0xE18
VMCOREINFO = b"OSRELEASE=6.12.1-test\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=3ffe0001000\nCRASHTIME=1\n"
PART_START, PART_SIZE = 1 << 20, 80 << 20
SUPERBLOCK_AT = PART_START + PART_SIZE - PAGE
DUMP_SIZE_LIMIT = 64 << 20  # dump_size of the superblock

CONSOLE = (
    "Linux version 6.12.90 (gcc) #1 SMP",
    "zcore: SETUP DUMP: HSA size 67108864",
    "zfcpdump: wrote 4 MB of 4 MB (100%)",
    "zfcpdump result: ok 4 MB in 0.1 s",
)


def elf_note(name: bytes, kind: int, desc: bytes) -> bytes:
    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 4)

    return struct.pack(">3I", len(name) + 1, len(desc), kind) + padded(name + b"\0") + padded(desc)


def cpu_notes(cpu: CpuState, number: int = 1, *, vector: bool = True) -> bytes:
    """The notes of one CPU in the order of fill_cpu_elf_notes(); ``cpu`` as stored."""
    prstatus = bytearray(336)
    struct.pack_into(">I", prstatus, 32, number)
    struct.pack_into(">2Q16Q16I", prstatus, 112, cpu.psw_mask, cpu.psw_addr, *cpu.gprs, *cpu.acrs)
    notes = [
        elf_note(b"CORE", 0x1, bytes(prstatus)),
        elf_note(b"CORE", 0x2, struct.pack(">I4x16Q", cpu.fpc, *cpu.fprs)),
        elf_note(b"LINUX", 0x301, struct.pack(">Q", cpu.cpu_timer)),
        elf_note(b"LINUX", 0x302, struct.pack(">Q", cpu.clock_comparator)),
        elf_note(b"LINUX", 0x303, struct.pack(">I", cpu.tod_programmable)),
        elf_note(b"LINUX", 0x304, struct.pack(">16Q", *cpu.crs)),
        elf_note(b"LINUX", 0x305, struct.pack(">I", cpu.prefix)),
    ]
    if vector and cpu.vxrs_low is not None and cpu.vxrs_high is not None:
        high = b"".join(register.to_bytes(16, "big") for register in cpu.vxrs_high)
        notes += [
            elf_note(b"LINUX", 0x30A, high),
            elf_note(b"LINUX", 0x309, struct.pack(">16Q", *cpu.vxrs_low)),
        ]
    return b"".join(notes)


@dataclass(frozen=True)
class Load:
    """One PT_LOAD: memory from ``paddr`` on."""

    paddr: int
    size: int
    vaddr: int


IDENTITY = Load(0, MEMORY, IDENTITY_BASE)
KERNEL_IMAGE = Load(IMAGE[0], IMAGE[1] - IMAGE[0], IMAGE_VADDR)


def vmcore(
    memory: bytes,
    cpus: Sequence[CpuState],
    *,
    vmcoreinfo: bytes | None = VMCOREINFO,
    loads: Sequence[Load] = (KERNEL_IMAGE, IDENTITY),
    limited: tuple[int, int] | None = None,
) -> bytes:
    """An ELF core like /proc/vmcore; ``cpus`` as stored.

    ``limited``: it says that memory from the first to the second address is not in it.
    """
    notes = elf_note(b"CORE", 3, bytes(136)) + b"".join(
        cpu_notes(cpu, number) for number, cpu in enumerate(cpus, 1)
    )
    if vmcoreinfo is not None:
        notes += elf_note(b"VMCOREINFO", 0, vmcoreinfo)
    count = 1 + len(loads) + (limited is not None)
    notes_at = 64 + 56 * count
    at = -(-(notes_at + len(notes)) // PAGE) * PAGE
    padding = bytes(at - notes_at - len(notes))
    ident = b"\x7fELF\x02\x02\x01".ljust(16, b"\0")
    head = ident + struct.pack(">HHIQQQIHHHHHH", 4, 22, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    head += struct.pack(">IIQQQQQQ", 4, 0, notes_at, 0, 0, len(notes), len(notes), 0)
    body = b""
    for load in loads:
        head += struct.pack(
            ">IIQQQQQQ", 1, 7, at, load.vaddr, load.paddr, load.size, load.size, PAGE
        )
        body += memory[load.paddr : load.paddr + load.size].ljust(load.size, b"\0")
        at += load.size
    if limited is not None:
        head += struct.pack(">IIQQQQQQ", 0, 0x5A4C494D, 0, limited[1], limited[0], 0, 0, 0)
    return head + notes + padding + body


def s390_dump(memory: bytes, cpus: Sequence[CpuState]) -> bytes:
    """A plain stand-alone dump (s390-tools include/dump/s390_dump.h) of this memory."""
    size, count = len(memory), len(cpus)
    fields = (0xA8190173618F23FD, 5, PAGE, 4, PAGE, size, 0, size, size // PAGE, 0, 1, 0, 2, 0, 2)
    header = struct.pack(">Q4I3Q2I2Q3IQB2H", *fields, size, 0, count, count).ljust(0x800, b"\0")
    header += struct.pack(f">{count}I", *(cpu.prefix for cpu in cpus))
    return header.ljust(PAGE, b"\0") + memory + struct.pack(">8sQ", b"DUMP_END", 2)


def crashed_memory() -> bytes:
    """Memory that is random in DATA, without equal pages; the lowcore points to VMCOREINFO."""
    memory, source = bytearray(MEMORY), random.Random(390)
    for start, end in DATA:
        memory[start:end] = source.randbytes(end - start)
    struct.pack_into(">Q", memory, VMCORE_INFO_POINTER, VMCORE_INFO_NOTE)
    struct.pack_into(">Q", memory, OS_INFO_POINTER, 0)
    note = elf_note(b"VMCOREINFO", 0, VMCOREINFO)
    memory[VMCORE_INFO_NOTE : VMCORE_INFO_NOTE + len(note)] = note
    return bytes(memory)


def stored(cpu: CpuState) -> CpuState:
    """The CPU after store status and Linux: bits 56-63 of the clock comparator are lost."""
    return replace(cpu, clock_comparator=cpu.clock_comparator >> 8)


def superblock(dump: bytes) -> bytes:
    """The 4096-byte block with the superblock for ``dump``."""
    checksum = cksm(dump[:PAGE].ljust(PAGE, b"\0"))
    fields = (0x5A46435044554D50, 1, PART_START, PART_SIZE, 0, DUMP_SIZE_LIMIT, 0, PAGE, checksum)
    return struct.pack(">9Q", *fields).ljust(PAGE, b"\0")


@dataclass
class SyntheticRun:
    """The evidence of a run; change it, then ``write`` it."""

    memory: bytes = field(default_factory=crashed_memory)
    cpus: list[CpuState] = field(default_factory=lambda: [make_cpu(1), make_cpu(2)])
    dumped: bytes | None = None  # default: ``dumped_memory``
    dumped_cpus: list[CpuState] | None = None  # default: ``cpus`` as stored
    vmcoreinfo: bytes | None = VMCOREINFO
    loads: tuple[Load, ...] = (KERNEL_IMAGE, IDENTITY)
    layout: str = "partition"
    form: str = "elf"  # format of the written dump and in the scenario: elf or s390
    content: bytes | None = None  # of the dump; by default made of the other fields
    superblock_at: int = SUPERBLOCK_AT
    console: tuple[str, ...] = CONSOLE
    outcome: dict[str, object] = field(default_factory=dict)
    machine: dict[str, object] = field(default_factory=dict)
    expect: dict[str, object] = field(default_factory=dict)
    crash_console: tuple[str, ...] = ("zharness: boot 1 from its own disk", "Kernel panic")
    reipl: dict[str, object] | None = None
    reipl_console: tuple[str, ...] = ("zharness: boot 2 from its own disk",)
    content_seed: int | None = None
    parmline: str = ""  # dump.parmline of the scenario
    faults: tuple[str, ...] = ()  # faults.inject of the scenario

    def dumped_memory(self) -> bytes:
        """The crashed memory with the IPL CPU's status stored at absolute 0x1200."""
        memory = bytearray(self.memory)
        memory[STATUS_AREA : STATUS_AREA + 512] = status_area(self.cpus[0])
        for cpu in self.cpus if self.form != "elf" else ():
            if cpu.prefix:
                at = cpu.prefix + STATUS_AREA
                memory[at : at + 512] = status_area(cpu)
                (at,) = struct.unpack_from(">Q", self.memory, cpu.prefix + MCESAD)
                if at and at % 1024 == 0 and at < len(memory):
                    memory[at : at + 512] = additional_status_area(cpu)
        return bytes(memory)

    def write(self, root: Path) -> Path:
        crash, dump = root / "crash", root / "dump"
        crash.mkdir(parents=True)
        dump.mkdir()
        write_sparse(crash / "ram.img", self.memory)
        states = {"cpus": [cpu.to_json() for cpu in self.cpus]}
        (crash / "cpus.json").write_text(json.dumps(states))
        machine = {"memory": len(self.memory), "boot_seconds": 2.0, **self.machine}
        if self.content_seed is not None:
            machine["content_seed"] = self.content_seed
        (crash / "machine.json").write_text(json.dumps(machine))
        (crash / "console.log").write_text(timed(self.crash_console))
        dump_plan = {"format": self.form, "parmline": self.parmline}
        faults = {"inject": list(self.faults)}
        plan = {"scenario": {"expect": self.expect, "dump": dump_plan, "faults": faults}}
        (root / "run.json").write_text(json.dumps({"plan": plan}))
        if self.reipl is not None:
            (root / "reipl").mkdir()
            (root / "reipl/outcome.json").write_text(json.dumps(self.reipl))
            (root / "reipl/console.log").write_text(timed(self.reipl_console))
        cpus = self.dumped_cpus
        if cpus is None:
            cpus = [stored(cpu) for cpu in self.cpus if cpu.prefix]
        memory = self.dumped_memory() if self.dumped is None else self.dumped
        if self.content is not None:
            content = self.content
        elif self.form == "s390":
            content = s390_dump(memory, cpus)
        else:
            content = vmcore(memory, cpus, vmcoreinfo=self.vmcoreinfo, loads=self.loads)
        write_sparse(dump / "dump", content)
        if self.layout == "partition":
            (dump / "superblock.bin").write_bytes(superblock(content))
        collect_again(root, self.superblock_at if self.layout == "partition" else None)
        (dump / "console.log").write_text(timed(self.console))
        outcome = {
            "outcome": "finished",
            "result_line": CONSOLE[-1],
            "layout": self.layout,
            "hsa_size": 1 << 20,
            "hsa_released": True,
            "sdias_requests": 6,
            "refused_after_release": 0,
            "reipl_block": None,
            "seconds": 5.0,
        }
        (dump / "outcome.json").write_text(json.dumps(outcome | self.outcome))
        return root


def collect_again(root: Path, superblock_at: int | None = SUPERBLOCK_AT) -> None:
    """Describe the files in ``root``/dump as if they had been collected from the disk."""
    elf = root / "dump/dump"
    collected = {
        "size": elf.stat().st_size if elf.exists() else None,
        "note": "what was there",
        "superblock_offset": superblock_at,
    }
    (root / "dump/collected.json").write_text(json.dumps(collected))


def timed(lines: Iterable[str]) -> str:
    """A console log with time stamps."""
    return "".join(f"+{number:12.6f} {line}\n" for number, line in enumerate(lines))


def write_sparse(path: Path, content: bytes) -> None:
    """Write a file with a hole for every zero page."""
    with path.open("wb") as file:
        file.truncate(len(content))
        for at in range(0, len(content), PAGE):
            page = content[at : at + PAGE]
            if page.strip(b"\0"):
                file.seek(at)
                file.write(page)


def written(path: Path, content: bytes) -> Path:
    """Write a file with this content, with holes instead of zeros."""
    write_sparse(path, content)
    return path


def file_offset(address: int) -> int:
    """The offset of absolute ``address`` in the identity mapping of the default dump."""
    return _IDENTITY_AT + address


def _identity_at() -> int:
    headers = vmcore(b"", [make_cpu(1), make_cpu(2)], loads=())
    # two program headers more do not push the data to another page: checked by the tests
    return len(headers) + KERNEL_IMAGE.size


_IDENTITY_AT = _identity_at()


def change(path: Path, offset: int, to: Callable[[int], int]) -> None:
    """Replace one byte of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([to(old)]))


def flip(path: Path, offset: int) -> None:
    """Invert one byte of a file."""
    change(path, offset, lambda old: old ^ 0xFF)
