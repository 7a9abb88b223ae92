"""One dump IPL in progress.

The order of events, seen from outside:

1. the boot firmware loads the dump system and jumps to its entry (``load``);
2. old memory and the IPL CPU's registers are restored, watchpoints are set (``take_over``);
3. the kernel reads the IPL parameter block (DIAG 308) and the HSA's size (SERVC), moves itself
   to its final place, collects the other CPUs' status (SIGP), and from then on reads the HSA
   (SDIAS), releases it and asks for a re-IPL (DIAG 308) (``run``).

The phase's deadline is many times what a dump system needs. A dump system that still runs then did
not finish: that is an outcome, like its panic.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from harness import clock
from harness.deadline import Deadline
from harness.errors import HostError, ProtocolError
from harness.evidence.snapshot import Snapshot
from harness.firmware.load import IPL_CPU, DumpFirmware
from harness.firmware.service_call import SdiasAnswered
from harness.machine.dump_load.console_watch import ConsoleWatch
from harness.machine.dump_load.interference import Interference, Then
from harness.machine.dump_load.old_memory import OldMemory
from harness.machine.dump_load.sdias_watch import SdiasObservations, SdiasWatch
from harness.machine.intercept import AtInstruction
from harness.machine.played_machine import PlayedMachine
from harness.machine.run_phases import RunPhases
from harness.qemu.gdbstub.rsp import StopReply
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.scheduling import RunTime
from harness.s390x.instructions import Opcode

CHECK_SECONDS = 5.0  # how often a silent guest is checked
LEAST_SHARE = 0.25  # of a phase's time, which is many times what a dump system needs
LAST_WORDS_SECONDS = 5.0  # from a VM's stop to the QMP event that explains it


class Ended(Enum):
    """Why a dump session is over."""

    POWERED_OFF = "powered off"
    RE_IPL = "re-IPL requested"
    PANICKED = "panicked"
    STALLED = "stalled"
    OUT_OF_TIME = "out of time"
    STOPPED = "stopped by the operator"
    RESET = "reset by the operator"


_BY_OPERATOR = {Then.STOPPED: Ended.STOPPED, Then.RESET: Ended.RESET}
_END_EVENTS = {
    "SHUTDOWN": Ended.POWERED_OFF,
    "GUEST_PANICKED": Ended.PANICKED,
    "RESET": Ended.RE_IPL,
}


class Observations(SdiasObservations):
    """What the session saw; fields of ``DumpOutcome``."""

    hsa_released: bool
    status_stored: tuple[int, ...]
    old_memory_restored: int
    intercepted_by: str


class DumpSession(PlayedMachine):
    """Drives one paused QEMU from its start to the dump system's end.

    ``hsa_size`` bytes of old memory were saved before the load, whatever the HSA of ``firmware``
    gives of them.
    """

    def __init__(
        self,
        qemu: Qemu,
        ram: GuestRam,
        firmware: DumpFirmware,
        old_memory: OldMemory,
        snapshot: Snapshot,
        hsa_size: int,
        phases: RunPhases,
        console: ConsoleWatch,
        interference: Interference | None = None,
    ) -> None:
        super().__init__(qemu, ram, firmware, hsa_size, phases)
        self._interference, self._by_operator = interference or Interference((), ""), Then.RUN
        self._hsa, self._others = firmware.hsa, firmware.others
        self._old_memory, self._cpus, self._console = old_memory, snapshot.cpus, console
        self._hsa_size = hsa_size
        if len(snapshot.cpus) > 1:
            self.kernel_opcodes |= {Opcode.SIGP}
        self._sdias, self._restored = SdiasWatch(firmware.hsa), 0

    def observations(self) -> Observations:
        return Observations(
            hsa_released=self._hsa.released,
            **self._sdias.observations(),
            status_stored=tuple(sorted(self._others.stored)),
            old_memory_restored=self._restored,
            intercepted_by=self._hold.way.value,
        )

    def firmware(self) -> dict[str, Any]:
        """JSON: what the played functions know, for a person who looks at a machine that stays."""
        last = [
            {
                "request": answer.qualifier.name.lower(),
                "page": answer.page,
                "count": answer.count,
                "stored": answer.stored,
                "status": answer.status,
                "accepted": answer.accepted,
            }
            for answer in self._sdias.last
        ]
        return {
            "HSA": {"size": self._hsa.size, "released": self._hsa.released},
            "SDIAS": {**self._sdias.observations(), "last": last},
            "SIGP": {"status stored": sorted(self._others.stored)},
            "DIAG 308": {
                "state": self._diag308.state.value,
                "IPL parameter block": self.ipl_block.hex(),
            },
        }

    def take_over(self) -> None:
        """At the kernel entry: undo the boot firmware's traces and start to play the machine."""
        self._restored = self._old_memory.restore(self._ram, self._hsa_size)
        self._phases.note("old memory restored", pages=self._restored)
        self._restore_vector_registers()
        self.start_playing()

    def run(self, deadline: Deadline, stall_seconds: float) -> Ended:
        """Until the dump system ends or hangs, at the latest until the deadline."""
        self._last_signal = self._looked = clock.now()  # a slow load does not count as silence
        self._quiet = 0.0
        self._run_time = RunTime(self._qemu.scheduling(), clock.now())
        ended = None
        while ended is None:
            self.go_on()
            stop = self._next_stop(deadline, stall_seconds)
            if isinstance(stop, Ended):
                ended = stop
            elif not self.handle(stop):
                ended = self._why_ended()
            elif self.gone:
                ended = Ended.RE_IPL
            elif self._by_operator is not Then.RUN:
                ended = _BY_OPERATOR[self._by_operator]
            elif deadline.expired:  # even if the system stops again and again
                ended = self._out_of_time(deadline)
        self._phases.note("dump system ended", how=ended.value)
        return ended

    def on_sdias(self, answer: SdiasAnswered) -> None:
        if self._sdias.requests == 0:
            self._phases.note("first SDIAS request")
            self._has_all_status()
        if wrong := self._sdias.see(answer):
            self._phases.note(wrong, page=answer.page)
        if not answer.accepted:
            self._phases.note("SDIAS request not accepted", number=self._sdias.requests)
        if self._interference.happens_at(self._sdias.requests):
            self._phases.note("interference", number=self._sdias.requests)
            self._by_operator = self._interference.at_request(
                self._sdias.requests, self._qemu, self._gdb, self._ram, self._intercept.absolute(0)
            )

    @property
    def can_hold(self) -> bool:
        """As for any machine, and only if one CPU alone runs: the plugin knows one lowcore."""
        return super().can_hold and not self._others.taken_over

    def on_sigp(self, at: AtInstruction) -> None:
        first = at.operands.first
        order = self._intercept.register(at.operands.base) & 0xFF
        address = self._intercept.register(at.operands.second) & 0xFFFF
        played = self._others.signal(order, address, self._intercept.register(first | 1))
        if played is None:
            self.leave_to_qemu()
            if self._others.taken_over:
                self._has_all_status()
            return
        if played.status is not None:
            kept = self._intercept.register(first) & ~0xFFFFFFFF
            self._intercept.set_register(first, kept | played.status)
        self._intercept.complete(at, cc=played.cc)

    def _restore_vector_registers(self) -> None:
        """A dump load leaves the IPL CPU's vector registers alone: only there they survive.

        Store status has no room for them; the kernel saves what it finds at its start (Linux
        6.12 ``arch/s390/kernel/early.c``, save_vector_registers).
        """
        cpu = self._cpus[IPL_CPU]
        for prefix, suffix, first, values in (
            ("f", "", 0, cpu.fprs),
            ("v", "l", 0, cpu.vxrs_low or ()),
            ("v", "", 16, cpu.vxrs_high or ()),
        ):
            for number, value in enumerate(values, first):
                name = f"{prefix}{number}{suffix}"
                if name in self._gdb.registers:  # a CPU model without vectors has only FPRs
                    self._gdb.write_register(name, value)

    def _next_stop(self, deadline: Deadline, stall_seconds: float) -> StopReply | Ended:
        """The next stop, or why it is awaited no more.

        Raises HostError at the deadline if the host has not let QEMU run.
        """
        check_seconds = min(CHECK_SECONDS, stall_seconds)
        while True:
            # a guest that only waits stops again and again because of its own timer
            if clock.now() - self._looked >= check_seconds and self._is_stalled(stall_seconds):
                return Ended.STALLED
            stop = self.wait_stop(deadline.at_most(check_seconds))
            if stop is not None:
                return stop
            self._qemu.check()
            if deadline.expired:  # so this was no long wait
                return self._out_of_time(deadline)

    def _is_stalled(self, stall_seconds: float) -> bool:
        """Whether it was silent for too many seconds in which QEMU could run."""
        now = clock.now()
        ran = self._run_time.advance(self._qemu.scheduling(), now)
        alive = max(self._last_signal, self._console.last_line) > self._looked
        self._looked = now
        self._quiet = 0.0 if alive else self._quiet + ran
        return self._quiet > stall_seconds

    def _out_of_time(self, deadline: Deadline) -> Ended:
        """The end of a dump system that had enough time; raises HostError if the host had none."""
        self._run_time.advance(self._qemu.scheduling(), clock.now())
        if self._run_time.was_stopped:
            raise HostError(
                "QEMU was stopped by a signal, and the dump system did not finish in the time left",
                hint="kill -CONT continues a process that SIGSTOP has stopped; run it again",
            )
        ran = self._run_time.seconds
        if ran < deadline.seconds * LEAST_SHARE:
            raise HostError(
                f"this host let QEMU run for {ran:.0f} of the {deadline.seconds:.0f} s that the "
                "dump system had, and it did not finish",
                hint="run fewer at a time, or give all more time with --time-factor",
            )
        return Ended.OUT_OF_TIME

    def _has_all_status(self) -> None:
        """The kernel has every CPU's status, so it is at its final place."""
        self.kernel_stays()
        self._intercept.forget(Opcode.SIGP)
        self._intercept.forget_elsewhere()

    def _why_ended(self) -> Ended:
        """Why the VM stopped for another reason: QMP tells it, even if the stop came late."""
        wait = Deadline(LAST_WORDS_SECONDS)
        event = self._qemu.monitor.wait_event(tuple(_END_EVENTS), wait)
        if event is None:
            self._qemu.check()
            pc = self._gdb.read_register("pswa")
            raise ProtocolError(f"QEMU stopped the dump machine at {pc:#x} without saying why")
        self._phases.note("QMP event", name=event.name, **event.data)
        return _END_EVENTS[event.name]
