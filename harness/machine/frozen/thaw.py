"""Start a run from a frozen system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.evidence.names import SYSTEM_IMAGE
from harness.files import sparse
from harness.firmware.load import ordinary_load
from harness.machine.frozen.record import Frozen
from harness.machine.frozen.registers import shown_registers
from harness.machine.system.boot import Booter, machine_of, open_shell
from harness.machine.system.console import SystemConsole
from harness.machine.system.running import RunningSystem
from harness.machine.system.session import PlayedState, SystemSession
from harness.machine.system.shell import ConsoleShell, Shell
from harness.machine.system.ssh_shell import SshShell
from harness.phase import Phase
from harness.qemu.migration.transfer import load_state
from harness.qemu.process import Qemu, console_path
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.ssh.handshake import Login


@contextmanager
def thawed(booter: Booter, frozen: Frozen, directory: Path) -> Iterator[RunningSystem]:
    """The system goes on where it was frozen, for the duration of a ``with`` block.

    As ``Booter.booted``, for the same system: console log, disk and so on are in ``directory``.
    The log begins with what the system printed before it was frozen. Raises ProtocolError if QEMU
    does not restore every register; EvidenceError if a file is damaged.
    """
    directory.mkdir(parents=True, exist_ok=True)
    registers, played = frozen.facts()
    try:
        with (
            GuestRam.create(frozen.system.spec.memory) as ram,
            Qemu.start(
                booter.binary,
                _spec(frozen, directory),
                ram,
                directory,
                name=Phase.BOOT,
                on_line=booter.on_line,
            ) as qemu,
        ):
            with booter.phases.phase(Phase.BOOT) as deadline:
                # not before: QEMU's own reset at its start would write to it
                ram.fill(frozen.ram_image)
                load_state(qemu.monitor, frozen.state, deadline)
                require_equal(qemu, registers, deadline)
                session = None if played is None else _session(booter, qemu, ram, played)
                if session is None:
                    qemu.monitor.execute("cont", deadline=deadline)
                else:
                    session.go_on()
                console = SystemConsole(qemu, session)
                shell = _shell(qemu, console, session, frozen.system.login, deadline)
            try:
                yield RunningSystem(qemu, ram, session, console, shell)
            finally:
                if isinstance(shell, SshShell):
                    shell.close()
    finally:
        log = console_path(directory)
        if log.exists():
            log.write_bytes(frozen.console + log.read_bytes())


def _spec(frozen: Frozen, directory: Path) -> MachineSpec:
    """The machine again, with a copy of its disk."""
    if frozen.system_disk is not None:
        sparse.copy(frozen.system_disk, directory / SYSTEM_IMAGE)
    return replace(machine_of(frozen.system, directory), paused=True, incoming=True)


def _shell(
    qemu: Qemu,
    console: SystemConsole,
    session: SystemSession | None,
    login: Login | None,
    deadline: Deadline,
) -> Shell:
    if login is None:
        return ConsoleShell(console)
    return open_shell(qemu, console, session, login, Phase.BOOT, deadline)


def _session(booter: Booter, qemu: Qemu, ram: GuestRam, played: PlayedState) -> SystemSession:
    session = SystemSession(qemu, ram, ordinary_load(ram, played.ipl_block), booter.phases)
    session.take_up(played)
    return session


def require_equal(qemu: Qemu, frozen: tuple[str, ...], deadline: Deadline) -> None:
    for cpu, shown in enumerate(shown_registers(qemu.monitor, len(frozen), deadline)):
        if shown != frozen[cpu]:
            raise ProtocolError(
                f"QEMU has not restored the registers of CPU {cpu} of a frozen system",
                hint="boot the system instead",
            )
