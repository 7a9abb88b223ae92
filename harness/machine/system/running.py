"""A system that runs in QEMU, with a shell."""

from __future__ import annotations

from dataclasses import dataclass

from harness.machine.system.console import SystemConsole
from harness.machine.system.session import SystemSession
from harness.machine.system.shell import Shell
from harness.machine.system.watch import MachineWatch
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam


@dataclass(frozen=True)
class RunningSystem:
    """A system that is up, in a QEMU that somebody else owns.

    ``session`` is None if QEMU's ``-kernel`` loaded the system: then nothing is played.
    """

    qemu: Qemu
    ram: GuestRam
    session: SystemSession | None
    console: SystemConsole
    shell: Shell

    @property
    def watch(self) -> MachineWatch:
        """Sees to the machine while somebody waits for something else."""
        return MachineWatch(self.qemu, self.session, self.console)

    def requested_block(self) -> bytes | None:
        """The IPL parameter block of the dump load that the system asked for; None if it did not.

        See ``Stopped.DUMP_REQUEST``.
        """
        if self.session is None or not self.session.dump_requested:
            return None
        return self.session.ipl_block
