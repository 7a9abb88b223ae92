"""The three instructions with which an operating system calls the firmware.

Encodings: Principles of Operation, chapter 10 (DIAGNOSE, SIGNAL PROCESSOR), and Linux 6.12
``drivers/s390/char/sclp.h`` (SERVC, ``.insn rre,0xb2200000``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

INSTRUCTION_SIZE = 4  # all three


class Opcode(Enum):
    """Each value is the pattern of the whole instruction."""

    DIAG308 = rb"\x83[\x00-\xff]\x03\x08"  # diag R1,R3,0x308(0)
    SERVC = rb"\xb2\x20\x00[\x00-\xff]"  # servc R1,R2
    SIGP = rb"\xae[\x00-\xff][\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0]\x00"
    # sigp R1,R3,0(B2): Linux always passes the order in B2


@dataclass(frozen=True)
class Operands:
    """Register numbers in an instruction: ``first`` is R1, ``second`` R2 or R3, ``base`` B2."""

    first: int
    second: int
    base: int


def find(
    code: bytes, opcodes: frozenset[Opcode], start: int = 0, end: int | None = None
) -> Iterator[tuple[int, Opcode]]:
    """Halfword-aligned offsets in ``code`` that match one of ``opcodes``.

    With ``start`` and ``end`` only the offsets in [start, end).

    Data can look like an instruction: a match may be no instruction at all.
    """
    stop = len(code) if end is None else end + INSTRUCTION_SIZE - 1
    for opcode in sorted(opcodes, key=lambda item: item.name):
        pattern, position = re.compile(opcode.value, re.DOTALL), start
        while match := pattern.search(code, position, stop):
            if match.start() % 2 == 0:
                yield match.start(), opcode
            position = match.start() + 1  # a match at an odd offset must not hide an aligned one


def decode(instruction: bytes) -> tuple[Opcode, Operands] | None:
    """The instruction in these four bytes; None if it is none of the three."""
    for opcode in Opcode:
        if re.fullmatch(opcode.value, instruction, re.DOTALL):
            registers = instruction[3] if opcode is Opcode.SERVC else instruction[1]
            return opcode, Operands(registers >> 4, registers & 15, instruction[2] >> 4)
    return None
