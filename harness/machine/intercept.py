"""Stop a guest at the instructions with which it calls the machine.

The kernel's version does not matter: the code around the current PSW is searched for the encodings
of the instructions, and a breakpoint is set at each. QEMU compares the PSW address, so a breakpoint
at data that only looks like an instruction never fires. But QEMU goes through all breakpoints each
time it looks for translated code, so what cannot be the kernel's is forgotten later.

The guest chooses everything that is read here: its PSW, its registers, its tables, its memory.
Values that make no sense have no effect, and the guest must cope with that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.deadline import Deadline
from harness.qemu.gdbstub.client import REPLY_SECONDS, GdbClient, NotMapped, Stop, StopKind
from harness.qemu.monitor import Monitor
from harness.qemu.ram import GuestRam
from harness.s390x.instructions import INSTRUCTION_SIZE, Opcode, Operands, decode, find

SEARCH_BYTES = 16 << 20  # in each direction from the PSW: a kernel's text is contiguous
BREAKPOINT_SIZE = 2
# A kernel with its initramfs has some dozen places that look like an instruction to stop at.
MOST_SITES = 1024

_PIECE = 1 << 20  # bytes that are searched at a time
_ADDRESSES = 1 << 64
_PROBLEM_STATE = 1 << 48  # PSW bit 15
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
        self._full = False

    @property
    def full(self) -> bool:
        """Whether more places looked like an instruction than can be watched."""
        return self._full

    def search(self, opcodes: frozenset[Opcode]) -> int:
        """Find ``opcodes`` around the current PSW and break there; returns how many are new.

        If there are too many (``MOST_SITES`` in all), the nearest ones to the PSW are taken.
        """
        pc = self._gdb.read_register("pswa")
        absolute = self.absolute(pc)
        if absolute is None:
            return 0
        start, end = max(0, absolute - SEARCH_BYTES), min(self._limit, absolute + SEARCH_BYTES)
        if start >= end:
            return 0
        code = self._ram.read(start, end - start)
        before = len(self._sites)
        nearest = sorted(
            range(0, len(code), _PIECE), key=lambda at: abs(start + at + _PIECE // 2 - absolute)
        )
        for at in nearest:
            for offset, opcode in find(code, opcodes, at, at + _PIECE):
                address = pc - absolute + start + offset
                if not 0 <= address < _ADDRESSES or address in self._sites:
                    continue
                if len(self._sites) == MOST_SITES:
                    self._full = True
                    return len(self._sites) - before
                self._gdb.insert(_breakpoint(address))
                self._sites[address] = opcode
        return len(self._sites) - before

    @property
    def sites(self) -> Mapping[int, Opcode]:
        """What is watched, by virtual address."""
        return MappingProxyType(self._sites)

    def watch(self, sites: Mapping[int, Opcode]) -> None:
        """Stop at ``sites``, too, which are known from a search."""
        for address, opcode in sites.items():
            self._gdb.insert(_breakpoint(address))
            self._sites[address] = opcode

    def forget(self, opcode: Opcode) -> None:
        """Stop no more at ``opcode``."""
        for address in [at for at, kind in self._sites.items() if kind is opcode]:
            self._forget(address)

    def forget_elsewhere(self) -> None:
        """Stop no more where the kernel that runs now is not mapped.

        A kernel is contiguous, in virtual and in absolute addresses. What was found before it moved
        there is no part of it, nor is what lies around it. All stay if the PSW is not translated.
        """
        pc = self._gdb.read_register("pswa")
        absolute = self.absolute(pc)
        if absolute is None:
            return
        for address in list(self._sites):
            if self.absolute(address) != absolute + address - pc:
                self._forget(address)

    def clear(self) -> None:
        """Stop nowhere."""
        for opcode in frozenset(self._sites.values()):
            self.forget(opcode)

    def _forget(self, address: int) -> None:
        self._gdb.remove(_breakpoint(address))
        del self._sites[address]

    def current(self) -> AtInstruction | None:
        """The instruction that the stopped CPU is about to execute, if it is one that is played.

        None also in the problem state, where all of them are program exceptions, and if the guest
        now has another instruction there.
        """
        address = self._gdb.read_register("pswa")
        if address not in self._sites or self._gdb.read_register("pswm") & _PROBLEM_STATE:
            return None
        try:
            decoded = decode(self._gdb.read_memory(address, INSTRUCTION_SIZE))
        except NotMapped:
            return None
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
        self._gdb.write_register("pswa", (at.address + INSTRUCTION_SIZE) % _ADDRESSES)

    def absolute(self, virtual: int) -> int | None:
        """Translate with CPU 0's tables and prefix; only the human monitor offers it.

        None if these do not translate it, or to no installed memory.
        """
        line = f"gva2gpa {virtual:#x}"
        answer = self._monitor.execute(
            "human-monitor-command", {"command-line": line}, deadline=Deadline(REPLY_SECONDS)
        )
        match = re.search(r"gpa: (0x[0-9a-f]+)", str(answer))
        address = None if match is None else int(match[1], 16)
        return address if address is not None and address < self._ram.size else None


def _breakpoint(address: int) -> Stop:
    return Stop(StopKind.BREAKPOINT, address, BREAKPOINT_SIZE)
