"""One dump IPL under way: each stop of QEMU is brought to the firmware, its answer taken back.

The order of events, seen from outside:

1. the boot firmware loads the dump system and jumps to its entry (``load``);
2. old memory and the IPL CPU's registers are put right, watchpoints set (``take_over``);
3. the kernel reads the IPL parameter block (DIAG 308) and the HSA's size (SERVC), moves itself
   to its final place, collects the other CPUs' status (SIGP), and from then on reads the HSA
   (SDIAS), releases it and asks for a re-IPL (DIAG 308) (``run``).
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TypedDict

from harness.deadline import Deadline
from harness.errors import HarnessError, PhaseTimeout, ProtocolError
from harness.firmware.dump_ipl import DumpIpl, DumpIplState
from harness.firmware.hsa import Hsa
from harness.firmware.service_call import HsaSizeReported, SdiasAnswered, ServiceCalls
from harness.firmware.signal_processor import StoppedCpus
from harness.machine.console_watch import ConsoleWatch
from harness.machine.intercept import AtInstruction, Interceptor
from harness.machine.old_memory import OldMemory
from harness.machine.snapshot import Snapshot
from harness.machine.steps import Steps
from harness.qemu.gdb import Stop, StopKind
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.rsp import StopReply
from harness.s390x.instructions import Opcode
from harness.s390x.ipl import FcpDevice, fcp_block
from harness.s390x.lowcore import (
    EXT_INT_CODE,
    EXT_INT_SERVICE_SIGNAL,
    EXT_PARAMS,
    PROGRAM_NEW_PSW,
    SCCB_ADDRESS_MASK,
)

IPL_CPU = 0
KERNEL_ENTRY = 0x10000  # where zipl and the kernel agree to start (Linux arch/s390/boot/head.S)
TAIL_LINES = 12
CHECK_SECONDS = 5.0  # how often a silent guest is looked at
LAST_WORDS_SECONDS = 5.0  # from a VM's stop to the QMP event that explains it

DUMP_WWPN = 0x500507630300C562  # virtio-scsi has none; any valid-looking one will do
DUMP_LUN = 0

ENTRY_BREAK = Stop(StopKind.BREAKPOINT, KERNEL_ENTRY, 2)
# every external interruption reads its code; every kernel that moved sets its new PSWs again
INTERRUPTION_WATCH = Stop(StopKind.READ, EXT_INT_CODE, 2)
KERNEL_MOVED_WATCH = Stop(StopKind.WRITE, PROGRAM_NEW_PSW, 8)


class Ended(Enum):
    """Why a dump session is over."""

    POWERED_OFF = "powered off"
    RE_IPL = "re-IPL requested"
    PANICKED = "panicked"
    STALLED = "stalled"


_END_EVENTS = {
    "SHUTDOWN": Ended.POWERED_OFF,
    "GUEST_PANICKED": Ended.PANICKED,
    "RESET": Ended.RE_IPL,
}


class Observations(TypedDict):
    """What the session saw; fields of ``DumpOutcome``."""

    hsa_released: bool
    sdias_requests: int
    refused_after_release: int
    status_stored: tuple[int, ...]
    old_memory_restored: int


class DumpSession:
    """Drives one paused QEMU from its start to the dump system's end."""

    def __init__(
        self,
        qemu: Qemu,
        ram: GuestRam,
        old_memory: OldMemory,
        snapshot: Snapshot,
        hsa_size: int,
        devno: int,
        steps: Steps,
        console: ConsoleWatch,
    ) -> None:
        if qemu.gdb is None:
            raise ProtocolError("a dump machine needs QEMU's gdbstub")
        self._qemu, self._gdb, self._ram, self._old_memory = qemu, qemu.gdb, ram, old_memory
        self._cpus, self._steps, self._console = snapshot.cpus, steps, console
        self._hsa = Hsa(old_memory, hsa_size, snapshot.cpus[IPL_CPU])
        block = fcp_block(FcpDevice(devno, DUMP_WWPN, DUMP_LUN), dump=True)
        self._ipl = DumpIpl(ram, self._hsa, block)
        self._calls = ServiceCalls(ram, self._hsa)
        self._others = StoppedCpus(ram, snapshot.cpus, IPL_CPU)
        self._intercept = Interceptor(self._gdb, qemu.monitor, ram, hsa_size)
        self._settled = False
        self._sdias_requests = self._refused_after_release = self._restored = 0
        self._last_signal = time.monotonic()

    def observations(self) -> Observations:
        return Observations(
            hsa_released=self._hsa.released,
            sdias_requests=self._sdias_requests,
            refused_after_release=self._refused_after_release,
            status_stored=tuple(sorted(self._others.stored)),
            old_memory_restored=self._restored,
        )

    def load(self, deadline: Deadline) -> None:
        """Let the boot firmware read the disk, up to the kernel entry."""
        self._gdb.insert(ENTRY_BREAK)
        self._gdb.resume()
        stop = self._gdb.wait_stop(deadline)
        if stop is None:
            self._qemu.check()
            tail = self._qemu.console.tail(TAIL_LINES)
            raise PhaseTimeout("ipl", "the boot firmware to load the disk", deadline.seconds, tail)
        self._gdb.remove(ENTRY_BREAK)
        if self._gdb.read_register("pswa") != KERNEL_ENTRY:
            said = " / ".join(self._qemu.console.tail(TAIL_LINES)) or "nothing"
            raise HarnessError(f"QEMU's boot firmware did not load the dump disk; it said: {said}")

    def take_over(self, deadline: Deadline) -> None:
        """At the kernel entry: undo the boot firmware's traces and start to play the machine."""
        self._restored = self._old_memory.restore(self._ram, self._hsa.size)
        self._steps.note("old memory restored", pages=self._restored)
        self._restore_vector_registers()
        self._intercept.search(frozenset({Opcode.DIAG308, Opcode.SERVC}), deadline)
        self._gdb.insert(INTERRUPTION_WATCH)
        self._gdb.insert(KERNEL_MOVED_WATCH)

    def run(self, deadline: Deadline, stall_seconds: float) -> Ended:
        """Until the dump system ends, hangs, or the deadline passes (PhaseTimeout)."""
        ended = None
        while ended is None:
            self._gdb.resume()
            stop = self._next_stop(deadline, stall_seconds)
            ended = Ended.STALLED if stop is None else self._handle(stop, deadline)
        self._steps.note("dump system ended", how=ended.value)
        return ended

    def _restore_vector_registers(self) -> None:
        """A dump load leaves the IPL CPU's vector registers alone: only there they survive.

        Store status has no room for them; the kernel saves what it finds at its start (Linux
        6.12 ``arch/s390/kernel/early.c``, save_vector_registers).
        """
        cpu = self._cpus[IPL_CPU]
        for prefix, suffix, first, values in (
            ("f", "", 0, cpu.fprs),
            ("v", "l", 0, cpu.vxrs_low),
            ("v", "", 16, cpu.vxrs_high),
        ):
            for number, value in enumerate(values, first):
                name = f"{prefix}{number}{suffix}"
                if name in self._gdb.registers:  # a CPU model without vectors has only FPRs
                    self._gdb.write_register(name, value)

    def _next_stop(self, deadline: Deadline, stall_seconds: float) -> StopReply | None:
        """The next stop, or None if the guest hangs."""
        while True:
            stop = self._gdb.wait_stop(deadline.at_most(min(CHECK_SECONDS, stall_seconds)))
            if stop is not None:
                return stop
            self._qemu.check()
            last = max(self._last_signal, self._console.last_line)
            if time.monotonic() - last > stall_seconds:
                return None
            if deadline.expired:
                raise PhaseTimeout(
                    "dump",
                    "the dump system to finish (it was still working)",
                    deadline.seconds,
                    self._qemu.console.tail(TAIL_LINES),
                )

    def _handle(self, stop: StopReply, deadline: Deadline) -> Ended | None:
        if stop.watch_address == EXT_INT_CODE:
            self._on_external_interruption()
        elif stop.watch_address == PROGRAM_NEW_PSW:
            self._on_kernel_moved(deadline)
        elif at := self._intercept.current():
            return self._on_instruction(at)
        else:
            return self._why_ended(deadline)
        return None

    def _on_external_interruption(self) -> None:
        # virtual, so that the prefix applies: parameter (4 bytes), CPU address (2), code (2)
        interruption = self._gdb.read_memory(EXT_PARAMS, 8)
        if int.from_bytes(interruption[6:], "big") != EXT_INT_SERVICE_SIGNAL:
            return
        self._last_signal = time.monotonic()
        played = self._calls.completed(int.from_bytes(interruption[:4], "big") & SCCB_ADDRESS_MASK)
        if isinstance(played, HsaSizeReported):
            self._intercept.forget(Opcode.SERVC)
            self._steps.note("HSA size reported", pages=played.pages)
        elif isinstance(played, SdiasAnswered):
            self._on_sdias(played)

    def _on_sdias(self, answer: SdiasAnswered) -> None:
        if self._sdias_requests == 0:
            self._steps.note("first SDIAS request")
            self._settle()
        self._sdias_requests += 1
        if self._hsa.released:
            self._refused_after_release += 1
            self._steps.note("SDIAS request after the HSA's release", page=answer.page)

    def _on_kernel_moved(self, deadline: Deadline) -> None:
        opcodes = {Opcode.DIAG308} | ({Opcode.SIGP} if len(self._cpus) > 1 else set())
        found = self._intercept.search(frozenset(opcodes), deadline)
        self._steps.note("looked for machine instructions", found=found)

    def _settle(self) -> None:
        """The kernel stands where it stays, and has every CPU's status."""
        if not self._settled:
            self._settled = True
            self._gdb.remove(KERNEL_MOVED_WATCH)
            self._intercept.forget(Opcode.SIGP)

    def _on_instruction(self, at: AtInstruction) -> Ended | None:
        if at.opcode is Opcode.DIAG308:
            return self._on_diag308(at)
        if at.opcode is Opcode.SIGP:
            self._on_sigp(at)
        else:
            command = self._intercept.register(at.operands.first) & 0xFFFFFFFF
            sccb = self._intercept.register(at.operands.second) & SCCB_ADDRESS_MASK
            self._calls.issued(command, sccb)
            self._gdb.step()
        return None

    def _on_diag308(self, at: AtInstruction) -> Ended | None:
        subcode = self._intercept.register(at.operands.second) & 0xFFFF
        address = self._intercept.register(at.operands.first)
        answer = self._ipl.diag308(subcode, address)
        self._steps.note("DIAG 308", subcode=subcode, rc=answer.rc, state=self._ipl.state.value)
        if answer.rc is None:
            self._gdb.step()
            return None
        if self._ipl.state is DumpIplState.RE_IPL:
            return Ended.RE_IPL
        self._intercept.set_register(at.operands.first + 1, answer.rc)
        self._intercept.complete(at)
        return None

    def _on_sigp(self, at: AtInstruction) -> None:
        first = at.operands.first
        order = self._intercept.register(at.operands.base) & 0xFF
        address = self._intercept.register(at.operands.second) & 0xFFFF
        played = self._others.signal(order, address, self._intercept.register(first | 1))
        if played is None:
            self._gdb.step()
            if self._others.taken_over:
                self._settle()
            return
        if played.status is not None:
            kept = self._intercept.register(first) & ~0xFFFFFFFF
            self._intercept.set_register(first, kept | played.status)
        self._intercept.complete(at, cc=played.cc)

    def _why_ended(self, deadline: Deadline) -> Ended:
        """The VM stopped, but not for us: QMP says why."""
        wait = deadline.at_most(LAST_WORDS_SECONDS)
        event = self._qemu.monitor.wait_event(tuple(_END_EVENTS), wait)
        if event is None:
            self._qemu.check()
            pc = self._gdb.read_register("pswa")
            raise ProtocolError(f"QEMU stopped the dump machine at {pc:#x} without saying why")
        self._steps.note("QMP event", name=event.name, **event.data)
        return _END_EVENTS[event.name]
