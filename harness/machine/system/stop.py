"""Pull the trigger, and check that the machine stops as the trigger says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.machine.run_phases import RunPhases
from harness.machine.system.proof import must_show
from harness.machine.system.running import RunningSystem
from harness.phase import Phase
from harness.triggers.trigger import Stopped, Trigger

LAST_WORDS_SECONDS = 5.0  # from a machine's stop to its last console line

_END_EVENTS = {
    "GUEST_PANICKED": Stopped.DISABLED_WAIT,
    "SHUTDOWN": Stopped.ALL_STOPPED,
    "RESET": None,
}


def stop(
    system: RunningSystem, trigger: Trigger, phases: RunPhases, deadline: Deadline
) -> Mapping[str, Any]:
    """Pull ``trigger`` and wait until the machine stops, as the trigger says.

    Returns QMP's panic information, if there is any. Raises PhaseTimeout if the machine does not
    stop, HarnessError if it stops in another way or its console does not show why, QemuDied if
    QEMU ends on its own.
    """
    monitor = system.qemu.monitor
    if trigger.stopped is Stopped.BY_OPERATOR:
        system.shell.send(trigger.command)
        must_show(trigger, system.console, deadline)
        monitor.execute("stop", deadline=deadline)
        return MappingProxyType({})
    if trigger.in_boot:  # its text has been seen
        return _stopped(system, trigger, phases, deadline)
    if trigger.restart:
        system.shell.run(trigger.command, deadline)
        monitor.execute("inject-nmi", deadline=deadline)
    else:
        system.shell.send(trigger.command)
    information = _stopped(system, trigger, phases, deadline)
    must_show(trigger, system.console, deadline.at_most(LAST_WORDS_SECONDS))
    return information


def _stopped(
    system: RunningSystem, trigger: Trigger, phases: RunPhases, deadline: Deadline
) -> Mapping[str, Any]:
    session = system.session
    if session is not None:
        while not deadline.expired and session.play(deadline):
            pass
        system.console.stands = True
        if session.gone:
            asked = Stopped.DUMP_REQUEST if session.dump_requested else None
            _require(system, trigger, asked, "DIAGNOSE X'308'")
            return MappingProxyType({})
    event = system.qemu.monitor.wait_event(tuple(_END_EVENTS), deadline)
    if event is None:
        system.qemu.check()
        what = f"the guest to stop after trigger {trigger.name} ('{trigger.command}')"
        raise system.console.timeout(Phase.CRASH, what, deadline)
    phases.note("QMP event", name=event.name, **event.data)
    _require(system, trigger, _END_EVENTS[event.name], event.name)
    return event.data


def _require(system: RunningSystem, trigger: Trigger, stopped: Stopped | None, how: str) -> None:
    if stopped is not trigger.stopped:
        raise HarnessError(
            f"the guest ended with {how} instead of '{trigger.stopped.value}' after trigger "
            f"{trigger.name}; its last lines:{system.console.last_lines}",
            hint="a panic must not reboot: panic=0",
        )
