"""An ordinary SCSI load in progress: the system reads its IPL parameter block, and may request
another load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.firmware.diag308 import IplState
from harness.firmware.load import Firmware
from harness.firmware.service_call import MachineReported
from harness.machine.played_machine import INTERRUPTION_WATCH, PlayedMachine
from harness.machine.run_phases import RunPhases
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.s390x.instructions import Opcode


@dataclass(frozen=True)
class PlayedState:
    """What the firmware of a settled system remembers: it has booted and asked for no load.

    ``sites`` are the instructions that it plays, by virtual address.
    """

    ipl_block: bytes
    sites: Mapping[int, Opcode]


class SystemSession(PlayedMachine):
    """Drives one paused QEMU with the system's own disk, as long as the system runs."""

    def __init__(self, qemu: Qemu, ram: GuestRam, firmware: Firmware, phases: RunPhases) -> None:
        super().__init__(qemu, ram, firmware, ram.size, phases)
        self.handled = 0  # stops of the machine

    @property
    def dump_requested(self) -> bool:
        """Whether the system asked for the load of a dump system."""
        return self._diag308.state is IplState.DUMP_REQUESTED

    def begin(self) -> None:
        """Let the loaded system start; ``play`` must follow soon."""
        self.start_playing()
        self.go_on()

    def play(self, deadline: Deadline, wait_seconds: float | None = None) -> bool:
        """Handle the next stop, if one comes in ``wait_seconds`` (default: until the deadline).

        False if the machine stands still: the system asked for a load, or QMP says why.
        """
        wait = deadline if wait_seconds is None else deadline.at_most(wait_seconds)
        stop = self._gdb.wait_stop(wait)
        if stop is None:
            self._qemu.check()
            return True
        self.handled += 1
        if not self.handle(stop) or self.gone:
            return False
        self.go_on()
        return True

    def settle(self, deadline: Deadline) -> None:
        """The system is up: from here on only its requests for a load matter."""
        self.hold(deadline)
        self.kernel_stays()
        self.go_on()

    def hold(self, deadline: Deadline) -> None:
        """Stop the machine; ``go_on`` lets it run again."""
        self._gdb.interrupt()
        stop = self._gdb.wait_stop(deadline)
        if stop is None:
            raise ProtocolError("QEMU's gdbstub did not stop the machine")
        if stop.trapped:  # for the firmware, just before
            self.handle(stop)

    def was_resumed(self) -> None:
        """QMP has let the held machine go on."""
        self._gdb.was_resumed()

    @property
    def played(self) -> PlayedState:
        """What the firmware of a settled system remembers."""
        return PlayedState(self.ipl_block, dict(self._intercept.sites))

    def take_up(self, played: PlayedState) -> None:
        """Go on playing for a settled system that another session has played for.

        Its firmware has to be of a load with the same IPL parameter block.
        """
        self._intercept.watch(played.sites)

    def on_machine_reported(self, report: MachineReported) -> None:
        super().on_machine_reported(report)
        # the system's own external interruptions would stop it at every tick
        self._gdb.remove(INTERRUPTION_WATCH)
