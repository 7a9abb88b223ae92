"""CPU states in the notes of an s390x ELF core.

``/proc/vmcore`` (Linux ``arch/s390/kernel/crash_dump.c``, ``fill_cpu_elf_notes``) and the dump of
QEMU's ``dump-guest-memory`` (QEMU ``target/s390x/arch_dump.c``) have the same note types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.s390x.cpu import DumpedCpu

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
PR_PID, _PR_PSW, _PR_GPRS, _PR_ACRS, _PR_END, _PR_SIZE = 32, 112, 128, 256, 320, 336
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
CPU_NOTES = frozenset(_SIZES)
_VECTORS = frozenset({NT_S390_VXRS_LOW, NT_S390_VXRS_HIGH})  # of a machine that has them
# what only the dump of a system has, because a process cannot reach these registers
S390_SYSTEM = frozenset(
    {NT_S390_TIMER, NT_S390_TODCMP, NT_S390_TODPREG, NT_S390_CTRS, NT_S390_PREFIX}
)
S390_ONLY = frozenset(_SIZES) - {NT_PRSTATUS, NT_PRFPREG}  # no other architecture has these types


class Note(NamedTuple):
    """One ELF note: type and descriptor bytes."""

    type: int
    desc: bytes


def cpu_states(notes: Iterable[Note]) -> tuple[DumpedCpu, ...]:
    """One CPU for each NT_PRSTATUS, in file order: a CpuState unless notes are missing.

    Raises ValueError naming CPU and note when one is too short.
    """
    cpus = (_cpu(number, group) for number, group in enumerate(_by_cpu(notes)))
    return tuple(cpu.whole or cpu for cpu in cpus)


def misfits(notes: Iterable[Note]) -> Iterator[str]:
    """One message for each note that is longer than its registers, one for a CPU's missing notes.

    Linux before 6.1 wrote such a NT_S390_TODPREG, so they are read all the same. NT_PRSTATUS is
    left out: it has other fields behind its registers.
    """
    for number, group in enumerate(_by_cpu(notes)):
        missing = [f"{kind:#x}" for kind in _SIZES if kind not in group and kind not in _VECTORS]
        if missing:
            what = (
                f"note {missing[0]} is" if len(missing) == 1 else f"notes {', '.join(missing)} are"
            )
            yield f"CPU {number}: ELF {what} missing: these registers are unknown"
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


def _cpu(number: int, group: dict[int, bytes]) -> DumpedCpu:
    def unpacked(note_type: int, form: str, at: int = 0) -> tuple[int, ...] | None:
        data = group.get(note_type)
        if data is None:
            return None
        if len(data) < _SIZES[note_type]:
            raise ValueError(f"CPU {number}: ELF note {note_type:#x} has only {len(data)} bytes")
        return struct.unpack_from(form, data, at)

    def one(note_type: int, form: str, at: int = 0) -> int | None:
        values = unpacked(note_type, form, at)
        return None if values is None else values[0]

    def prstatus(form: str, at: int) -> tuple[int, ...]:
        return unpacked(NT_PRSTATUS, form, at) or ()  # it begins each CPU, so it is there

    halves = unpacked(NT_S390_VXRS_HIGH, ">32Q")
    psw_mask, psw_addr = prstatus(">2Q", _PR_PSW)
    return DumpedCpu(
        psw_mask=psw_mask,
        psw_addr=psw_addr,
        gprs=prstatus(">16Q", _PR_GPRS),
        acrs=prstatus(">16I", _PR_ACRS),
        crs=unpacked(NT_S390_CTRS, ">16Q"),
        fprs=unpacked(NT_PRFPREG, ">16Q", _FP_FPRS),
        fpc=one(NT_PRFPREG, ">I", _FP_FPC),
        prefix=one(NT_S390_PREFIX, ">I"),
        tod_programmable=one(NT_S390_TODPREG, ">I"),
        cpu_timer=one(NT_S390_TIMER, ">Q"),
        clock_comparator=one(NT_S390_TODCMP, ">Q"),
        vxrs_low=unpacked(NT_S390_VXRS_LOW, ">16Q"),
        vxrs_high=halves
        and tuple(
            left << 64 | right for left, right in zip(halves[::2], halves[1::2], strict=True)
        ),
    )


def cpu_notes(cpu: DumpedCpu, number: int) -> Iterator[tuple[bytes, Note]]:
    """(owner name, note) of each note that Linux writes for a CPU, in the same order.

    The inverse of :func:`cpu_states`: registers that are not known have no note. ``number`` counts
    from 1; debuggers show it as a PID.
    """
    prstatus = bytearray(_PR_SIZE)
    struct.pack_into(">I", prstatus, PR_PID, number)
    struct.pack_into(">2Q", prstatus, _PR_PSW, cpu.psw_mask, cpu.psw_addr)
    struct.pack_into(">16Q", prstatus, _PR_GPRS, *cpu.gprs)
    struct.pack_into(">16I", prstatus, _PR_ACRS, *cpu.acrs)
    yield b"CORE", Note(NT_PRSTATUS, bytes(prstatus))
    if cpu.fpc is not None and cpu.fprs is not None:
        yield b"CORE", Note(NT_PRFPREG, struct.pack(">I4x16Q", cpu.fpc, *cpu.fprs))
    for kind, form, value in (
        (NT_S390_TIMER, ">Q", cpu.cpu_timer),
        (NT_S390_TODCMP, ">Q", cpu.clock_comparator),
        (NT_S390_TODPREG, ">I", cpu.tod_programmable),
        (NT_S390_CTRS, ">16Q", cpu.crs),
        (NT_S390_PREFIX, ">I", cpu.prefix),
    ):
        if value is not None:
            values = value if isinstance(value, tuple) else (value,)
            yield b"LINUX", Note(kind, struct.pack(form, *values))
    if cpu.vxrs_high is not None:
        high = b"".join(register.to_bytes(16, "big") for register in cpu.vxrs_high)
        yield b"LINUX", Note(NT_S390_VXRS_HIGH, high)
    if cpu.vxrs_low is not None:
        yield b"LINUX", Note(NT_S390_VXRS_LOW, struct.pack(">16Q", *cpu.vxrs_low))
