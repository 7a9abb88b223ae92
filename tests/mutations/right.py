"""One crash, and its right dump in each format; the mutations change these dumps."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

from harness.s390x.cpu import CpuState
from tests.support.disks.dump_partition import mbr
from tests.support.dumps import s390
from tests.support.evidence import (
    MCESAD,
    MEMORY,
    PAGE,
    PART_START,
    SUPERBLOCK_AT,
    SyntheticRun,
    stored,
    superblock,
    vmcore,
    write_sparse,
)
from tests.support.kernels.crashed_kernel import PREFIXES, CrashedKernel, vmcoreinfo

FORMS = ("elf", "s390", "s390_ext")
VECTORS = (0x30A400, 0x30A800)  # where each CPU's vector registers are stored
VMCOREINFO = vmcoreinfo()
CPUS = tuple(CrashedKernel().cpus)
STORED = tuple(stored(cpu) for cpu in CPUS)  # as a dump has them
MIB = 1 << 20
LAST = (1 << 64) - 1


def memory_of(kernel: CrashedKernel) -> bytes:
    """The crashed kernel's memory, with areas for vector registers."""
    memory = kernel.memory()
    for prefix, area in zip(PREFIXES, VECTORS, strict=True):
        struct.pack_into(">Q", memory, prefix + MCESAD, area)
    return bytes(memory)


@cache
def crashed_memory() -> bytes:
    return memory_of(CrashedKernel())


def crash(form: str, **fields: object) -> SyntheticRun:
    right = {"memory": crashed_memory(), "vmcoreinfo": VMCOREINFO}
    return SyntheticRun(cpus=list(CPUS), form=form, **{**right, **fields})


@cache
def dumped_memory(form: str) -> bytes:
    """The crashed memory, with registers in the places where the dump system stores them."""
    return crash(form).dumped_memory()


def dump(
    form: str,
    memory: bytes | None = None,
    cpus: tuple[CpuState, ...] = STORED,
    note: bytes | None = VMCOREINFO,
) -> bytes:
    """The dump of this crash; ``cpus`` as stored. A stand-alone dump has no ``note``."""
    memory = dumped_memory(form) if memory is None else memory
    prefixes = [cpu.prefix for cpu in cpus]
    if form == "elf":
        return vmcore(memory, cpus, vmcoreinfo=note)
    if form == "s390":
        return s390.plain(memory, prefixes)
    return s390.extended(len(memory), segments(memory), prefixes)


def segments(memory: bytes) -> list[bytes]:
    """Three segments: one raw, one compressed, one with a compressed and a raw entry."""
    return [
        s390.raw_segment(0, memory[:MIB]),
        s390.compressed_segment(MIB, memory[MIB : 2 * MIB]),
        s390.compressed_segment(2 * MIB, memory[2 * MIB :], LAST, raw=[1]),
    ]


class Broken:
    """The content of the disk that a mutation changes: a dump in a file, or on a partition.

    ``block`` (with the superblock) and ``sector`` (the disk's first) are only for a partition.
    ``crashed`` is the memory at the crash, if that is another one.
    """

    def __init__(self, form: str, *, on_partition: bool) -> None:
        self.form, self.on_partition = form, on_partition
        self.data = bytearray(dump(form))
        self.crashed = crashed_memory()
        self.block = bytearray(superblock(bytes(self.data)))
        self.sector = mbr()

    def at(self, address: int) -> int:
        """The offset in the dump of an absolute address; not for compressed memory."""
        if self.form == "elf":
            return len(dump("elf")) - MEMORY + address
        return PAGE + address if self.form == "s390" else 2 * PAGE + address

    def rewrite(self, data: bytes) -> None:
        """Replace the whole dump."""
        self.data[:] = data
        self.block[:] = superblock(data)

    def crash_again(self, memory: bytes, note: bytes) -> None:
        """The right dump of another crash, with this memory and VMCOREINFO."""
        self.crashed = memory
        self.rewrite(dump(self.form, crash(self.form, memory=memory).dumped_memory(), note=note))

    def write(self, path: Path) -> None:
        """Write the dump file, or the disk with the partition."""
        if not self.on_partition:
            write_sparse(path, bytes(self.data))
            return
        with path.open("wb") as disk:
            for at, data in (
                (0, self.sector),
                (PART_START, self.data),
                (SUPERBLOCK_AT, self.block),
            ):
                disk.seek(at)
                disk.write(data)
