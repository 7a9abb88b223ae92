"""Stopping a guest at the instructions with which it talks to the machine below it.

Sites are found by looking, not by version: the code around the current PSW is searched for the
instructions' encodings, and a breakpoint is set at each. QEMU compares the PSW address, so a
breakpoint at data that only looks like an instruction costs nothing and never fires.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.qemu.gdb import GdbClient, Stop, StopKind
from harness.qemu.monitor import Monitor
from harness.qemu.ram import GuestRam
from harness.s390x.instructions import INSTRUCTION_SIZE, Opcode, Operands, decode, find

SEARCH_BYTES = 16 << 20  # each way around the PSW: a kernel's text is contiguous
BREAKPOINT_SIZE = 2

_CC_SHIFT = 44  # PSW bits 18-19
_CC_MASK = 3 << _CC_SHIFT


@dataclass(frozen=True)
class AtInstruction:
    """A CPU is about to execute ``opcode`` at virtual address ``address``."""

    opcode: Opcode
    operands: Operands
    address: int


class Interceptor:
    """Owns the breakpoints on one guest's machine instructions.

    ``limit`` is the absolute address below which the dump system lives, in bytes.
    """

    def __init__(self, gdb: GdbClient, monitor: Monitor, ram: GuestRam, limit: int) -> None:
        self._gdb = gdb
        self._monitor = monitor
        self._ram = ram
        self._limit = limit
        self._sites: dict[int, Opcode] = {}

    def search(self, opcodes: frozenset[Opcode], deadline: Deadline) -> int:
        """Find ``opcodes`` around the current PSW and break there; returns how many are new."""
        pc = self._gdb.read_register("pswa")
        absolute = self.absolute(pc, deadline)
        start = max(0, absolute - SEARCH_BYTES)
        code = self._ram.read(start, min(self._limit, absolute + SEARCH_BYTES) - start)
        new = 0
        for offset, opcode in find(code, opcodes):
            address = pc - absolute + start + offset
            if address >= 0 and address not in self._sites:
                self._gdb.insert(_breakpoint(address))
                self._sites[address] = opcode
                new += 1
        return new

    def forget(self, opcode: Opcode) -> None:
        """Stop no more at ``opcode``."""
        for address in [at for at, kind in self._sites.items() if kind is opcode]:
            self._gdb.remove(_breakpoint(address))
            del self._sites[address]

    def current(self) -> AtInstruction | None:
        """The instruction that the stopped CPU is about to execute, if it is one of ours."""
        address = self._gdb.read_register("pswa")
        if address not in self._sites:
            return None
        decoded = decode(self._gdb.read_memory(address, INSTRUCTION_SIZE))
        return AtInstruction(*decoded, address) if decoded else None

    def register(self, number: int) -> int:
        """General register ``number`` of the stopped CPU."""
        return self._gdb.read_register(f"r{number}")

    def set_register(self, number: int, value: int) -> None:
        self._gdb.write_register(f"r{number}", value)

    def complete(self, at: AtInstruction, cc: int | None = None) -> None:
        """Step the PSW past an instruction that was played; ``cc`` if it sets the code."""
        if cc is not None:
            mask = self._gdb.read_register("pswm") & ~_CC_MASK
            self._gdb.write_register("pswm", mask | cc << _CC_SHIFT)
        self._gdb.write_register("pswa", at.address + INSTRUCTION_SIZE)

    def absolute(self, virtual: int, deadline: Deadline) -> int:
        """Translate with CPU 0's tables and prefix; only the human monitor offers it."""
        answer = self._monitor.execute(
            "human-monitor-command", {"command-line": f"gva2gpa {virtual:#x}"}, deadline=deadline
        )
        match = re.search(r"gpa: (0x[0-9a-f]+)", str(answer))
        if match is None:
            raise ProtocolError(f"QEMU cannot translate the PSW address {virtual:#x}: {answer}")
        return int(match[1], 16)


def _breakpoint(address: int) -> Stop:
    return Stop(StopKind.BREAKPOINT, address, BREAKPOINT_SIZE)
