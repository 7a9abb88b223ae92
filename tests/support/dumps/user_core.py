"""Cores of processes in user space, and other ELF cores, of any class and byte order."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

NT_PRSTATUS, NT_PRPSINFO, NT_AUXV = 1, 3, 6
NT_FILE, NT_SIGINFO = 0x46494C45, 0x53494749

Notes = Sequence[tuple[bytes, int, int]]  # owner with its NUL, type, size of the descriptor

QEMU_USER: Notes = (
    (b"CORE\0", NT_PRSTATUS, 336),
    (b"CORE\0", NT_PRPSINFO, 136),
    (b"CORE\0", NT_AUXV, 272),
)
GCORE: Notes = (
    (b"CORE\0", NT_PRPSINFO, 136),
    (b"CORE\0", NT_PRSTATUS, 336),
    (b"CORE\0", 2, 512),
    (b"CORE\0", NT_SIGINFO, 128),
    (b"CORE\0", NT_AUXV, 368),
    (b"CORE\0", NT_FILE, 876),
)


@dataclass(frozen=True)
class Machine:
    """``bits`` is 32 or 64, ``order`` as for struct."""

    number: int
    bits: int
    order: str


S390X, X86_64, I386, PPC = (
    Machine(22, 64, ">"),
    Machine(62, 64, "<"),
    Machine(3, 32, "<"),
    Machine(20, 32, ">"),
)


def core(machine: Machine = S390X, notes: Notes = QEMU_USER) -> bytes:
    """An ELF core with one PT_NOTE and one PT_LOAD of a page."""
    order, wide = machine.order, machine.bits == 64
    body = b"".join(_note(order, *note) for note in notes)
    header_size, segment_size = (64, 56) if wide else (52, 32)
    at = header_size + 2 * segment_size
    ident = b"\x7fELF" + bytes([1 + wide, 1 + (order == ">"), 1])
    word = "Q" if wide else "I"
    header = ident.ljust(16, b"\0") + struct.pack(
        f"{order}2HI3{word}I6H",
        *(4, machine.number, 1, 0, header_size, 0, 0, header_size, segment_size, 2, 0, 0, 0),
    )
    segments = b"".join(
        struct.pack(f"{order}2I6Q", kind, 4, offset, vaddr, 0, size, size, 4)
        if wide
        else struct.pack(f"{order}8I", kind, offset, vaddr, 0, size, size, 4, 4)
        for kind, offset, vaddr, size in (
            (4, at, 0, len(body)),
            (1, at + len(body), 0x400000, 4096),
        )
    )
    return header + segments + body + bytes(4096)


def _note(order: str, owner: bytes, kind: int, size: int) -> bytes:
    head = struct.pack(f"{order}3I", len(owner), size, kind)
    return head + owner + bytes(-len(owner) % 4) + bytes(size + -size % 4)
