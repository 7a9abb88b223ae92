"""CPU states in the notes of an s390x ELF core.

``/proc/vmcore`` (Linux ``arch/s390/kernel/crash_dump.c``, ``fill_cpu_elf_notes``) and the dump of
QEMU's ``dump-guest-memory`` (QEMU ``target/s390x/arch_dump.c``) have the same note types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.s390x.cpu import CpuState

# include/uapi/linux/elf.h
NT_PRSTATUS = 0x1
NT_PRFPREG = 0x2
NT_S390_TIMER = 0x301
NT_S390_TODCMP = 0x302
NT_S390_TODPREG = 0x303
NT_S390_CTRS = 0x304
NT_S390_PREFIX = 0x305
NT_S390_VXRS_LOW = 0x309
NT_S390_VXRS_HIGH = 0x30A

# arch/s390/include/asm/elf.h: elf_prstatus.pr_reg is s390_regs = psw, gprs, acrs, orig_gpr2
_PR_PID, _PR_PSW, _PR_GPRS, _PR_ACRS, _PR_END, _PR_SIZE = 32, 112, 128, 256, 320, 336
# s390_fp_regs: fpc, pad, fprs[16]
_FP_FPC, _FP_FPRS, _FP_END = 0, 8, 136

_SIZES = {
    NT_PRSTATUS: _PR_END,
    NT_PRFPREG: _FP_END,
    NT_S390_TIMER: 8,
    NT_S390_TODCMP: 8,
    NT_S390_TODPREG: 4,
    NT_S390_CTRS: 128,
    NT_S390_PREFIX: 4,
    NT_S390_VXRS_LOW: 128,
    NT_S390_VXRS_HIGH: 256,
}
S390_ONLY = frozenset(_SIZES) - {NT_PRSTATUS, NT_PRFPREG}  # no other architecture has these types


class Note(NamedTuple):
    """One ELF note: type and descriptor bytes."""

    type: int
    desc: bytes


def cpu_states(notes: Iterable[Note]) -> tuple[CpuState, ...]:
    """One state per NT_PRSTATUS, in file order.

    Raises ValueError naming CPU and note when one is missing or too short.
    """
    return tuple(_cpu_state(number, group) for number, group in enumerate(_by_cpu(notes)))


def oversized(notes: Iterable[Note]) -> Iterator[str]:
    """One message for each note that is longer than its registers.

    Linux before 6.1 wrote such a NT_S390_TODPREG, so they are read all the same. NT_PRSTATUS is
    left out: it has other fields behind its registers.
    """
    for number, group in enumerate(_by_cpu(notes)):
        for kind, desc in group.items():
            if kind != NT_PRSTATUS and len(desc) > _SIZES[kind]:
                yield (
                    f"CPU {number}: ELF note {kind:#x} has {len(desc)} bytes instead of "
                    f"{_SIZES[kind]}"
                )


def _by_cpu(notes: Iterable[Note]) -> list[dict[int, bytes]]:
    """Descriptors by type, of each CPU."""
    groups: list[dict[int, bytes]] = []
    for note in notes:
        if note.type == NT_PRSTATUS:
            groups.append({})
        if groups and note.type in _SIZES:
            groups[-1].setdefault(note.type, note.desc)
    return groups


def _cpu_state(number: int, group: dict[int, bytes]) -> CpuState:
    def desc(note_type: int) -> bytes:
        data = group.get(note_type)
        if data is None or len(data) < _SIZES[note_type]:
            state = "is missing" if data is None else f"has only {len(data)} bytes"
            raise ValueError(f"CPU {number}: ELF note {note_type:#x} {state}")
        return data

    prstatus, fpregs = desc(NT_PRSTATUS), desc(NT_PRFPREG)

    def low_vectors() -> tuple[int, ...] | None:
        if NT_S390_VXRS_LOW not in group:  # a machine without vector registers
            return None
        return struct.unpack_from(">16Q", desc(NT_S390_VXRS_LOW))

    def high_vectors() -> tuple[int, ...] | None:
        if NT_S390_VXRS_HIGH not in group:
            return None
        high = desc(NT_S390_VXRS_HIGH)
        return tuple(int.from_bytes(high[i : i + 16], "big") for i in range(0, 256, 16))

    psw_mask, psw_addr = struct.unpack_from(">2Q", prstatus, _PR_PSW)
    return CpuState(
        psw_mask=psw_mask,
        psw_addr=psw_addr,
        gprs=struct.unpack_from(">16Q", prstatus, _PR_GPRS),
        acrs=struct.unpack_from(">16I", prstatus, _PR_ACRS),
        crs=struct.unpack_from(">16Q", desc(NT_S390_CTRS)),
        fprs=struct.unpack_from(">16Q", fpregs, _FP_FPRS),
        fpc=struct.unpack_from(">I", fpregs, _FP_FPC)[0],
        prefix=struct.unpack_from(">I", desc(NT_S390_PREFIX))[0],
        tod_programmable=struct.unpack_from(">I", desc(NT_S390_TODPREG))[0],
        cpu_timer=struct.unpack_from(">Q", desc(NT_S390_TIMER))[0],
        clock_comparator=struct.unpack_from(">Q", desc(NT_S390_TODCMP))[0],
        vxrs_low=low_vectors(),
        vxrs_high=high_vectors(),
    )


def cpu_notes(cpu: CpuState, number: int) -> Iterator[tuple[bytes, Note]]:
    """(owner name, note) of each note that Linux writes for a CPU, in the same order.

    The inverse of :func:`cpu_states`. ``number`` counts from 1; debuggers show it as a PID.
    """
    prstatus = bytearray(_PR_SIZE)
    struct.pack_into(">I", prstatus, _PR_PID, number)
    struct.pack_into(">2Q", prstatus, _PR_PSW, cpu.psw_mask, cpu.psw_addr)
    struct.pack_into(">16Q", prstatus, _PR_GPRS, *cpu.gprs)
    struct.pack_into(">16I", prstatus, _PR_ACRS, *cpu.acrs)
    yield b"CORE", Note(NT_PRSTATUS, bytes(prstatus))
    yield b"CORE", Note(NT_PRFPREG, struct.pack(">I4x16Q", cpu.fpc, *cpu.fprs))
    for kind, desc in (
        (NT_S390_TIMER, struct.pack(">Q", cpu.cpu_timer)),
        (NT_S390_TODCMP, struct.pack(">Q", cpu.clock_comparator)),
        (NT_S390_TODPREG, struct.pack(">I", cpu.tod_programmable)),
        (NT_S390_CTRS, struct.pack(">16Q", *cpu.crs)),
        (NT_S390_PREFIX, struct.pack(">I", cpu.prefix)),
    ):
        yield b"LINUX", Note(kind, desc)
    if cpu.vxrs_high is not None:
        high = b"".join(register.to_bytes(16, "big") for register in cpu.vxrs_high)
        yield b"LINUX", Note(NT_S390_VXRS_HIGH, high)
    if cpu.vxrs_low is not None:
        yield b"LINUX", Note(NT_S390_VXRS_LOW, struct.pack(">16Q", *cpu.vxrs_low))
