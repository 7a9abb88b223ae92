"""Boot a system: with QEMU's own loader, or from the system's own SCSI disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.evidence.names import SYSTEM_IMAGE
from harness.files import sparse
from harness.firmware.load import ordinary_load
from harness.machine.hold.keeper import Keeper
from harness.machine.run_phases import RunPhases
from harness.machine.system.bootable import Bootable
from harness.machine.system.console import SystemConsole
from harness.machine.system.running import RunningSystem
from harness.machine.system.session import SystemSession
from harness.machine.system.shell import PROMPT, ConsoleShell, Shell
from harness.machine.system.ssh_shell import SshShell, log_in
from harness.machine.system.watch import MachineWatch, SystemStopped
from harness.phase import Phase
from harness.qemu.binary import QemuBinary
from harness.qemu.disk import Disk
from harness.qemu.network import HOST, ssh_port
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.s390x.ipl import fcp_block
from harness.s390x.wiring import SYSTEM_DISK
from harness.ssh.handshake import Login

READY = "zharness: crashed system ready"
EARLY_PANIC = "Kernel panic - not syncing[^\r\n]*"


@dataclass(frozen=True)
class Booter:
    """What every boot needs besides the machine: the QEMU, and the receiver of reports.

    ``keeper`` keeps the machine for a person when it has crashed.
    """

    binary: QemuBinary
    phases: RunPhases
    on_line: Callable[[str], None] | None = None
    keeper: Keeper | None = None

    @contextmanager
    def booted(
        self, system: Bootable, directory: Path, phase: Phase = Phase.BOOT, dies: str = ""
    ) -> Iterator[RunningSystem]:
        """``system`` at its shell's prompt, for the duration of a ``with`` block.

        The copy of its disk is in ``directory``, with its console log. With ``dies`` it must not
        come so far: its console shows this regular expression.

        Raises PhaseTimeout if the system does not come up, HarnessError if it panics before,
        HostError if memory or space lack; HostKeyDiffers or LoginRefused.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if system.system_disk is not None:
            sparse.copy(system.system_disk, directory / SYSTEM_IMAGE)
        spec = machine_of(system, directory)
        with (
            GuestRam.create(spec.memory) as ram,
            Qemu.start(self.binary, spec, ram, directory, name=phase, on_line=self.on_line) as qemu,
        ):
            session = None
            if system.loads_itself:
                block = system.ipl_block or fcp_block(SYSTEM_DISK, dump=False)
                session = SystemSession(qemu, ram, ordinary_load(ram, block), self.phases)
            console = SystemConsole(qemu, session)
            with ExitStack() as stack:
                with self.phases.phase(phase) as deadline:
                    shell: Shell
                    if system.login is None or dies:
                        shell = boot(console, session, phase, deadline, dies)
                    else:
                        shell = boot_full(qemu, console, session, system.login, phase, deadline)
                        stack.callback(shell.close)
                yield RunningSystem(qemu, ram, session, console, shell)


def boot_full(
    qemu: Qemu,
    console: SystemConsole,
    session: SystemSession | None,
    login: Login,
    phase: Phase,
    deadline: Deadline,
) -> SshShell:
    """Load a full system, if QEMU does not by itself, and log in; the caller closes the shell.

    Raises what ``log_in`` raises; HarnessError if the machine stops before.
    """
    if session is not None:
        session.load(phase, deadline)
        session.begin()
    shell = open_shell(qemu, console, session, login, phase, deadline)
    try:
        if session is not None:
            session.settle(deadline)
    except BaseException:
        shell.close()
        raise
    return shell


def open_shell(
    qemu: Qemu,
    console: SystemConsole,
    session: SystemSession | None,
    login: Login,
    phase: Phase,
    deadline: Deadline,
) -> SshShell:
    """Log in to a full system that runs, or is booting; the caller closes the shell.

    Raises what ``log_in`` raises; HarnessError if the machine stops before.
    """
    watch = MachineWatch(qemu, session, console)
    address = HOST, ssh_port(qemu.monitor, deadline)
    try:
        connection = log_in(login, address, console, watch, phase, deadline)
        try:
            watch.look()  # it may have stopped since it let us in
            return SshShell(connection, console, watch)
        except BaseException:
            connection.close()
            raise
    except SystemStopped as error:
        raise HarnessError(
            f"the system stopped on its own, during boot: {error.how}; "
            f"its last lines:{console.last_lines}"
        ) from error


def boot(
    console: SystemConsole,
    session: SystemSession | None,
    phase: Phase,
    deadline: Deadline,
    dies: str = "",
) -> ConsoleShell:
    """Load the system, if QEMU does not by itself, and wait for its shell's prompt.

    With ``dies`` wait for that text instead; then nobody listens to the shell.
    Raises PhaseTimeout if it does not come, HarnessError if the kernel panics before, or comes up
    although it should not; QemuDied if QEMU ends on its own.
    """
    if session is not None:
        session.load(phase, deadline)
        session.begin()
    seen = console.expect([READY, dies or EARLY_PANIC], deadline)
    if dies and seen is not None:
        if seen == 0:
            raise HarnessError(
                "the system came up, although it was to panic during its boot",
                hint="give it something to die of, such as crashed.parmline = 'rdinit=/none'",
            )
        return ConsoleShell(console)
    if seen == 1:
        raise HarnessError(
            f"the system panicked on its own, during boot: {console.matched}; "
            f"its last lines:{console.last_lines}",
            hint="can this kernel run the crashed system's initramfs? trigger = 'boot-panic' dumps "
            "a system that is to die so",
        )
    if seen is None or console.expect([re.escape(PROMPT)], deadline) is None:
        raise console.timeout(phase, f"the line '{READY}'", deadline)
    if session is not None:
        session.settle(deadline)
    return ConsoleShell(console)


def machine_of(system: Bootable, directory: Path) -> MachineSpec:
    """The machine of ``system``, whose disk has its copy in ``directory``.

    A session plays for one that loads itself.
    """
    spec = replace(system.spec, network=system.login is not None)
    if system.system_disk is None:
        return spec
    spec = replace(spec, disks=(Disk.of_system(directory / SYSTEM_IMAGE), *spec.disks))
    if system.direct:
        return spec
    return replace(spec, kernel=None, initrd=None, append=None, paused=True, gdb=True)
