"""A system that runs in QEMU, from its load to a shell on its console."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pexpect

from harness.deadline import Deadline
from harness.errors import HarnessError, PhaseTimeout, QemuDied
from harness.machine.played import TAIL_LINES
from harness.machine.steps import Steps
from harness.machine.system.session import SystemSession
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.triggers.trigger import Stopped, Trigger

READY = "zharness: crashed system ready"
PROMPT = "zharness# "
EARLY_PANIC = "Kernel panic - not syncing[^\r\n]*"
LOOK_SECONDS = 0.05  # how often the console is looked at while QEMU may stop for the firmware
LAST_WORDS_SECONDS = 5.0  # from a machine's stop to its last line in our hands

_STATUS = "zharness: status "
_END_EVENTS = {
    "GUEST_PANICKED": Stopped.DISABLED_WAIT,
    "SHUTDOWN": Stopped.ALL_STOPPED,
    "RESET": None,
}


class RunningSystem:
    """A system with its shell on the console, in a QEMU that somebody else owns.

    ``session`` is None if QEMU's ``-kernel`` loads the system: then nothing is played. Every
    method raises QemuDied if QEMU ends on its own.
    """

    def __init__(
        self, qemu: Qemu, ram: GuestRam, session: SystemSession | None, steps: Steps
    ) -> None:
        self.qemu, self.ram = qemu, ram
        self._session, self._steps = session, steps
        self._stands = False  # whether the machine has stopped by itself

    def boot(self, phase: str, deadline: Deadline) -> None:
        """Load the system, and wait for its shell's prompt.

        Raises PhaseTimeout if that does not come, HarnessError if the kernel panics before.
        """
        if self._session is not None:
            self._session.load(phase, deadline)
            self._session.begin()
        seen = self._expect([READY, EARLY_PANIC], deadline)
        if seen == 1:
            raise HarnessError(
                f"the system panicked on its own, during boot: {self.qemu.console.after}; "
                f"its last lines:{self._last_lines}",
                hint="can this kernel run the crashed system's initramfs?",
            )
        if seen is None or self._expect([re.escape(PROMPT)], deadline) is None:
            raise self._timeout(phase, f"the line '{READY}'", deadline)
        if self._session is not None:
            self._session.settle(deadline)

    def run(self, command: str, deadline: Deadline) -> str:
        """Run a shell command to its end; returns what it printed, kernel messages included.

        Raises HarnessError if it fails, PhaseTimeout if it does not end.
        """
        separator = "" if command.rstrip().endswith("&") else ";"
        self.qemu.console.sendline(f'{command}{separator} echo "{_STATUS}$?"')
        if self._expect([rf"{_STATUS}(\d+)\r?\n"], deadline) is None:
            raise self._timeout("crash", f"'{command}' to end", deadline)
        printed, ending = str(self.qemu.console.before), str(self.qemu.console.after)
        self._expect([re.escape(PROMPT)], deadline)
        status = ending.strip().removeprefix(_STATUS)
        if status != "0":
            said = " / ".join(printed.strip().splitlines()[-3:]) or "nothing"
            raise HarnessError(
                f"'{command}' failed in the system to be crashed (status {status}): {said}"
            )
        return printed

    def stop(self, trigger: Trigger, deadline: Deadline) -> Mapping[str, Any]:
        """Pull ``trigger`` and wait until the machine stands still, as the trigger says.

        Returns QMP's panic information, if there is any. Raises PhaseTimeout if the machine
        runs on, HarnessError if it stops otherwise or its console does not show why.
        """
        if trigger.stopped is Stopped.BY_OPERATOR:
            self.qemu.console.sendline(trigger.command)
            self._must_show(trigger, deadline)
            self.qemu.monitor.execute("stop", deadline=deadline)
            return MappingProxyType({})
        if trigger.restart:
            self.run(trigger.command, deadline)
            self.qemu.monitor.execute("inject-nmi", deadline=deadline)
        else:
            self.qemu.console.sendline(trigger.command)
        information = self._stopped(trigger, deadline)
        self._must_show(trigger, deadline.at_most(LAST_WORDS_SECONDS))
        return information

    def requested_block(self) -> bytes | None:
        """The IPL parameter block of the dump load that the system asked for; None if it did not.

        See ``Stopped.DUMP_REQUEST``.
        """
        if self._session is None or not self._session.dump_requested:
            return None
        return self._session.ipl_block

    def _stopped(self, trigger: Trigger, deadline: Deadline) -> Mapping[str, Any]:
        if self._session is not None:
            while not deadline.expired and self._session.play(deadline):
                pass
            self._stands = True
            if self._session.gone:
                asked = Stopped.DUMP_REQUEST if self._session.dump_requested else None
                self._require(trigger, asked, "DIAGNOSE X'308'")
                return MappingProxyType({})
        event = self.qemu.monitor.wait_event(tuple(_END_EVENTS), deadline)
        if event is None:
            self.qemu.check()
            what = f"the guest to stop after trigger {trigger.name} ('{trigger.command}')"
            raise self._timeout("crash", what, deadline)
        self._steps.note("QMP event", name=event.name, **event.data)
        self._require(trigger, _END_EVENTS[event.name], event.name)
        return event.data

    def _require(self, trigger: Trigger, stopped: Stopped | None, how: str) -> None:
        if stopped is not trigger.stopped:
            raise HarnessError(
                f"the guest ended with {how} instead of '{trigger.stopped.value}' after trigger "
                f"{trigger.name}; its last lines:{self._last_lines}",
                hint="a panic must not reboot: panic=0",
            )

    def _must_show(self, trigger: Trigger, deadline: Deadline) -> None:
        if trigger.console and self._expect([trigger.console], deadline) is None:
            raise HarnessError(
                f"trigger {trigger.name}: the console does not show '{trigger.console}', so this "
                f"is another death; its last lines:{self._last_lines}"
            )

    @property
    def _last_lines(self) -> str:
        """For messages: a snapshot that fails is gone, its console.log with it."""
        return "".join(f"\n  | {line}" for line in self.qemu.console.tail(TAIL_LINES))

    def _expect(self, patterns: Sequence[str], deadline: Deadline) -> int | None:
        """Which pattern the console showed; None if none until the deadline."""
        while True:
            playing = self._session is not None and not self._stands
            try:
                wait = 0.0 if playing else deadline.remaining
                return int(self.qemu.console.expect(list(patterns), timeout=wait))
            except pexpect.TIMEOUT:
                if deadline.expired or not playing:
                    return None
            except pexpect.EOF:
                self.qemu.check()
                raise QemuDied("the system's console ended") from None
            if self._session is not None:
                self._stands = not self._session.play(deadline, LOOK_SECONDS)

    def _timeout(self, phase: str, what: str, deadline: Deadline) -> PhaseTimeout:
        return PhaseTimeout(phase, what, deadline.seconds, self.qemu.console.tail(TAIL_LINES))
