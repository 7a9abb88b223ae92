"""Freeze a system that has booted, at a moment when nothing would be lost.

QEMU's device state is not complete under TCG: it lacks the interruptions that are pending for a CPU
(``harness.qemu.migration.stream``) and the condition code (``registers``). At a moment when every
CPU is in an enabled wait, with condition code 0 and without an interruption, there is nothing of
either, and the state is exact. An idle system has many such moments; a busy one may have none.
"""

from __future__ import annotations

from pathlib import Path

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.evidence.names import RAM
from harness.images.store import Store
from harness.machine.frozen.record import STATE, Frozen, depends_on, write_facts
from harness.machine.frozen.registers import shown_registers, waits
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.machine.system.running import RunningSystem
from harness.machine.system.ssh_shell import SshShell
from harness.phase import Phase
from harness.qemu.migration.stream import cpus_in
from harness.qemu.migration.transfer import save_state

KIND = "frozen-system"
_BETWEEN_SECONDS = 0.05  # that the system runs between two attempts
# its status says whether a unit has failed, which does not matter here (systemctl(1))
_SETTLED = "systemctl is-system-running --wait"
_ENDS = ("GUEST_PANICKED", "SHUTDOWN", "RESET")


def frozen_system(store: Store, booter: Booter, system: Bootable) -> Frozen:
    """The booted ``system``, frozen: from the store, or booted and frozen now.

    A full one is frozen when systemd has started all units, and its user has logged out. It depends
    on the content of all its files, on all options of QEMU, and on QEMU itself. Raises what
    ``Booter.booted`` and ``freeze`` raise; HostError if the store cannot be used.
    """

    def build(directory: Path, _log: Path) -> dict[str, object]:
        with booter.booted(system, directory) as running:
            with booter.phases.phase(Phase.BOOT) as deadline:
                if isinstance(running.shell, SshShell):
                    running.shell.completed(_SETTLED, deadline)
                    running.shell.close()
            with booter.phases.phase(Phase.SNAPSHOT) as deadline:
                freeze(running, system.spec.cpus, directory, deadline)
        return {"qemu": booter.binary.release}

    return Frozen(store.get(KIND, depends_on(system, booter.binary), build).path, system)


def freeze(system: RunningSystem, cpus: int, directory: Path, deadline: Deadline) -> None:
    """Stop ``system`` and write its files to ``directory``, where its disk and log are already.

    QEMU must be ended then. Raises HarnessError if the system ends meanwhile, or does not rest
    before the deadline.
    """
    while (found := _at_rest(system, cpus, deadline)) is None:
        if deadline.expired:
            raise HarnessError(
                f"the system was never at rest in {deadline.seconds:.0f} s, so it cannot be frozen",
                hint="freeze it before its workload starts",
            )
        _let_run(system, deadline)
    registers, state = found
    system.ram.save(directory / RAM)
    (directory / STATE).write_bytes(state)
    write_facts(directory, registers, None if system.session is None else system.session.played)


def _at_rest(
    system: RunningSystem, cpus: int, deadline: Deadline
) -> tuple[tuple[str, ...], bytes] | None:
    """Stop the system; its registers and state if it is at rest, otherwise it runs again."""
    monitor, session = system.qemu.monitor, system.session
    if session is None:
        monitor.execute("stop", deadline=deadline)
    else:
        session.hold(deadline)
    registers = shown_registers(monitor, cpus, deadline)
    if not all(map(waits, registers)):
        if session is None:
            monitor.execute("cont", deadline=deadline)
        else:
            session.go_on()
        return None
    state = save_state(monitor, deadline)
    if not any(cpu.interrupt_request for cpu in cpus_in(state, cpus)):
        return registers, state
    monitor.execute("cont", deadline=deadline)  # not the gdbstub: see save_state
    if session is not None:
        session.was_resumed()
    return None


def _let_run(system: RunningSystem, deadline: Deadline) -> None:
    """Let the system run for a moment; raises HarnessError if it ends."""
    moment = deadline.at_most(_BETWEEN_SECONDS)
    if system.session is not None:
        ended = not system.session.play(moment)
    else:
        ended = system.qemu.monitor.wait_event(_ENDS, moment) is not None
    if ended:
        raise HarnessError(
            f"the system ended before it was frozen; its last lines:{system.console.last_lines}"
        )
