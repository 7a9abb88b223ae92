"""A machine of QEMU and the firmware: the firmware answers each stop of QEMU.

QEMU stops for the firmware at service signals (a read watchpoint on the external interruption
code), at the instructions with which the operating system talks to the machine (breakpoints,
found by looking), and when a kernel has moved (a write watchpoint on the program new PSW, which
every kernel sets anew where it stays).

QEMU executes all other instructions in a single step. The end of that step is a stop like any
other. Nothing here waits for it, because the guest can prevent it.
"""

from __future__ import annotations

from harness import clock
from harness.deadline import Deadline
from harness.errors import NotLoaded, PhaseTimeout, ProtocolError
from harness.firmware.diag308 import GONE
from harness.firmware.faults import Signal
from harness.firmware.load import Firmware
from harness.firmware.service_call import (
    MachineReported,
    Played,
    SdiasAnswered,
)
from harness.machine.intercept import MOST_SITES, AtInstruction, Interceptor
from harness.machine.run_phases import RunPhases
from harness.machine.signal_hold import SignalHold
from harness.phase import Phase
from harness.qemu.gdbstub.client import NotMapped, Stop, StopKind
from harness.qemu.gdbstub.rsp import StopReply
from harness.qemu.gdbstub.state import State
from harness.qemu.moment import moment_of
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.s390x.instructions import Opcode
from harness.s390x.lowcore import (
    EXT_INT_CODE,
    EXT_INT_SERVICE_SIGNAL,
    EXT_PARAMS,
    PAGE_SIZE,
    PROGRAM_NEW_PSW,
    SCCB_ADDRESS_MASK,
)

EVENT_PENDING = 1  # in the parameter of a service signal (Linux sclp.c, sclp_interrupt_handler)
KERNEL_ENTRY = 0x10000  # the kernel entry that zipl uses (Linux arch/s390/boot/head.S)
SERVC_BUSY = 2  # condition code (Linux arch/s390/include/asm/sclp.h, sclp_service_call)
TAIL_LINES = 12

ENTRY_BREAK = Stop(StopKind.BREAKPOINT, KERNEL_ENTRY, 2)
INTERRUPTION_WATCH = Stop(StopKind.READ, EXT_INT_CODE, 2)
KERNEL_MOVED_WATCH = Stop(StopKind.WRITE, PROGRAM_NEW_PSW, 8)

_INTERRUPTION_BYTES = 8


class PlayedMachine:
    """One QEMU, paused at its start, whose gdbstub the harness uses.

    ``limit`` is the absolute address below which the loaded system lives, in bytes.
    """

    kernel_opcodes = frozenset({Opcode.DIAG308})  # to stop at, wherever the kernel stays

    def __init__(
        self,
        qemu: Qemu,
        ram: GuestRam,
        firmware: Firmware,
        limit: int,
        phases: RunPhases,
    ) -> None:
        if qemu.gdb is None:
            raise ProtocolError("a played machine needs QEMU's gdbstub")
        self._qemu, self._gdb, self._ram, self._phases = qemu, qemu.gdb, ram, phases
        self._diag308, self._calls = firmware.diag308, firmware.calls
        self._intercept = Interceptor(self._gdb, qemu.monitor, ram, limit)
        if self._calls.refuse_some:
            self.kernel_opcodes |= {Opcode.SERVC}
        self._watching_moves = False
        self._step = False  # whether QEMU must execute exactly one instruction next
        # absolute address of the last SDIAS requester's external interruption parameters: guest
        # memory is shared, so they are read there without asking QEMU
        self._interruption_at: int | None = None
        self._last_signal = clock.now()
        self._hold = SignalHold(qemu.held, self._gdb, ram)
        self._watching_signals = False

    @property
    def gone(self) -> bool:
        """Whether the system has asked for another load."""
        return self._diag308.state in GONE

    @property
    def limits(self) -> tuple[str, ...]:
        """Limits that the system has exceeded; lines for people."""
        if not self._intercept.full:
            return ()
        return (
            f"more than {MOST_SITES} places look like machine instructions: only so many, near "
            "where the kernel ran, were watched",
        )

    @property
    def ipl_block(self) -> bytes:
        """The IPL parameter block, as last set."""
        return self._diag308.ipl_block

    def load(self, phase: Phase, deadline: Deadline) -> None:
        """Let the boot firmware read the disk, up to the kernel entry."""
        self._gdb.insert(ENTRY_BREAK)
        self._gdb.resume()
        stop = self._gdb.wait_stop(deadline)
        if stop is None:
            self._qemu.check()
            tail = self._qemu.console.tail(TAIL_LINES)
            what, now = "the boot firmware to load the disk", moment_of(self._qemu)
            raise PhaseTimeout(phase, what, deadline.seconds, tail, now)
        self._gdb.remove(ENTRY_BREAK)
        if self._gdb.read_register("pswa") != KERNEL_ENTRY:
            said = " / ".join(self._qemu.console.tail(TAIL_LINES)) or "nothing"
            raise NotLoaded(f"QEMU's boot firmware did not load the disk; it said: {said}")

    def start_playing(self) -> None:
        """At the kernel entry: from here on the firmware plays its functions."""
        self._intercept.search(frozenset({Opcode.DIAG308, Opcode.SERVC}))
        self._gdb.insert(INTERRUPTION_WATCH)
        self._watching_signals = True
        self._gdb.insert(KERNEL_MOVED_WATCH)
        self._watching_moves = True

    def stop_playing(self, deadline: Deadline) -> None:
        """Leave the machine as it is: it stands still, and stops nowhere any more."""
        self._hold.end()
        if self._gdb.state is State.RUNNING:
            self._gdb.interrupt()
            if self._gdb.wait_stop(deadline) is None:
                raise ProtocolError(f"QEMU did not stop the machine in {deadline.seconds:.0f} s")
        self._intercept.clear()
        self._signals_are_held()
        self.kernel_stays()

    def wait_stop(self, deadline: Deadline) -> StopReply | None:
        """The next stop, or None at the deadline; service signals are answered meanwhile."""
        return self._hold.wait_stop(deadline, self._service_signal)

    def handle(self, stop: StopReply) -> bool:
        """Play the function that the stop requests; False if the machine stopped for other reasons.

        ``go_on`` must follow, unless the system has ``gone``.
        """
        stepped, self._step = self._step, False
        if not stop.trapped:
            return False
        if stop.watch_address == EXT_INT_CODE:
            self._on_external_interruption()
        elif stop.watch_address == PROGRAM_NEW_PSW:
            found = self._intercept.search(self.kernel_opcodes)
            self._phases.note("looked for machine instructions", found=found)
        elif at := None if stepped else self._intercept.current():
            self._on_instruction(at)
        else:
            self._step = not stepped  # over a breakpoint where the guest has something else
        return True

    def go_on(self) -> None:
        """Let the machine run after a stop that was handled."""
        if self._step:
            self._gdb.begin_step()
        else:
            self._gdb.resume()

    def leave_to_qemu(self) -> None:
        """Let QEMU execute the instruction at the PSW."""
        self._step = True

    def kernel_stays(self) -> None:
        """The kernel is at its final place: do not search again."""
        if self._watching_moves:
            self._watching_moves = False
            self._gdb.remove(KERNEL_MOVED_WATCH)

    def on_machine_reported(self, report: MachineReported) -> None:
        """Read SCP Information has been answered."""
        if not self._calls.refuse_some:
            self._intercept.forget(Opcode.SERVC)
        self._phases.note("machine reported", hsa_pages=report.hsa_pages)

    def on_sdias(self, answer: SdiasAnswered) -> None:
        """An SDIAS request has been answered."""

    def on_sigp(self, at: AtInstruction) -> None:
        """A CPU is about to signal another one; here QEMU does that."""
        self.leave_to_qemu()

    def _signals_are_held(self) -> None:
        """The watchpoint is needed no more."""
        if self._watching_signals:
            self._watching_signals = False
            self._gdb.remove(INTERRUPTION_WATCH)

    def _on_external_interruption(self) -> None:
        if self._interruption_at is not None:
            # the SCCB there may be old, but no SDIAS request is answered twice
            interruption = self._ram.read(self._interruption_at, _INTERRUPTION_BYTES)
            if _is_service_signal(interruption) and self._hold.at_watchpoint():
                self._phases.note("the plugin holds the CPU at service signals")
                self._signals_are_held()
                return
            if self._service_signal(interruption) is not None:
                return
        try:
            # virtual, so that the prefix applies
            interruption = self._gdb.read_memory(EXT_PARAMS, _INTERRUPTION_BYTES)
        except NotMapped:
            return
        if isinstance(self._service_signal(interruption), SdiasAnswered):
            self._interruption_at = self._intercept.absolute(EXT_PARAMS)
            # later the machine does not stop there, so no breakpoint could be removed
            if self._interruption_at is not None and self.can_hold:
                self._hold.begin(self._interruption_at)

    @property
    def can_hold(self) -> bool:
        """Whether the plugin can hold the CPU from now on.

        Later the machine does not stop at service signals, so no breakpoint could be removed.
        """
        return Opcode.SERVC not in self._intercept.sites.values()

    def _service_signal(self, interruption: bytes) -> Played:
        """``interruption``: parameter (4 bytes), CPU address (2) and code (2)."""
        if not _is_service_signal(interruption):
            return None
        self._last_signal = clock.now()
        played = self._calls.completed(int.from_bytes(interruption[:4], "big") & SCCB_ADDRESS_MASK)
        if isinstance(played, MachineReported):
            self.on_machine_reported(played)
        elif isinstance(played, SdiasAnswered):
            self.on_sdias(played)
            if played.fault is not None:
                self._signal_wrongly(played.fault.signal, interruption)
        return played

    def _signal_wrongly(self, signal: Signal, interruption: bytes) -> None:
        """Change the parameter of the service signal, which the kernel has not read yet."""
        if signal is Signal.OF_REQUEST:
            return
        sccb = int.from_bytes(interruption[:4], "big") & SCCB_ADDRESS_MASK
        told = {
            Signal.OF_NOTHING: 0,
            Signal.OF_ANOTHER: sccb ^ PAGE_SIZE,
            Signal.WITH_EVENT: sccb | EVENT_PENDING,
        }[signal]
        at = self._interruption_at or self._intercept.absolute(EXT_PARAMS)
        if at is not None:
            self._ram.write(at, told.to_bytes(4, "big"))

    def _on_instruction(self, at: AtInstruction) -> None:
        if at.opcode is Opcode.DIAG308:
            self._on_diag308(at)
        elif at.opcode is Opcode.SIGP:
            self.on_sigp(at)
        else:
            command = self._intercept.register(at.operands.first) & 0xFFFFFFFF
            sccb = self._intercept.register(at.operands.second) & SCCB_ADDRESS_MASK
            if self._calls.issued(command, sccb):
                self.leave_to_qemu()
            else:
                self._phases.note("SCLP busy", command=command)
                self._intercept.complete(at, cc=SERVC_BUSY)
                if not self._calls.refuse_some:  # each stop takes time
                    self._intercept.forget(Opcode.SERVC)

    def _on_diag308(self, at: AtInstruction) -> None:
        subcode = self._intercept.register(at.operands.second)
        if at.operands.first % 2:
            # a specification exception, which QEMU recognizes (target/s390x/diag.c)
            self._phases.note("DIAG 308 with an odd register", subcode=subcode)
            self.leave_to_qemu()
            return
        answer = self._diag308.call(subcode, self._intercept.register(at.operands.first))
        self._phases.note(
            "DIAG 308", subcode=subcode, rc=answer.rc, state=self._diag308.state.value
        )
        if answer.rc is None:
            self.leave_to_qemu()
        elif not self.gone:
            self._intercept.set_register(at.operands.first + 1, answer.rc)
            self._intercept.complete(at)


def _is_service_signal(interruption: bytes) -> bool:
    return int.from_bytes(interruption[6:], "big") == EXT_INT_SERVICE_SIGNAL
