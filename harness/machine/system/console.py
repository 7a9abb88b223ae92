"""The console of a system; the firmware plays while the console is watched."""

from __future__ import annotations

from collections.abc import Sequence

import pexpect

from harness.deadline import Deadline
from harness.errors import PhaseTimeout, QemuDied
from harness.machine.played_machine import TAIL_LINES
from harness.machine.system.session import SystemSession
from harness.phase import Phase
from harness.qemu.moment import moment_of
from harness.qemu.process import Qemu

LOOK_SECONDS = 0.05  # how often the console is checked while QEMU may stop for the firmware


class SystemConsole:
    """What a system prints, and its keyboard.

    ``session`` is None if QEMU's ``-kernel`` loads the system: then nothing is played.
    """

    def __init__(self, qemu: Qemu, session: SystemSession | None) -> None:
        self._qemu, self._session = qemu, session
        self.stands = False  # whether the machine has stopped by itself

    def type(self, line: str) -> None:
        """Type ``line`` and a line end."""
        self._qemu.console.sendline(line)

    def expect(self, patterns: Sequence[str], deadline: Deadline) -> int | None:
        """Which pattern the console showed; None if there was none before the deadline.

        Raises QemuDied if QEMU ends on its own.
        """
        while True:
            playing = self._session is not None and not self.stands
            try:
                wait = 0.0 if playing else deadline.remaining
                return int(self._qemu.console.expect(list(patterns), timeout=wait))
            except pexpect.TIMEOUT:
                if deadline.expired or not playing:
                    return None
            except pexpect.EOF:
                self._qemu.check()
                raise QemuDied("the system's console ended") from None
            if self._session is not None:
                self.stands = not self._session.play(deadline, LOOK_SECONDS)

    @property
    def before(self) -> str:
        """The text before the last pattern that was expected."""
        return str(self._qemu.console.before)

    @property
    def matched(self) -> str:
        """What the last pattern that was expected matched."""
        return str(self._qemu.console.after)

    @property
    def last_lines(self) -> str:
        """For messages: if a snapshot fails, it is removed, together with its console.log."""
        return "".join(f"\n  | {line}" for line in self._qemu.console.tail(TAIL_LINES))

    def timeout(self, phase: Phase, what: str, deadline: Deadline) -> PhaseTimeout:
        """The error that ``what`` did not come in ``phase``."""
        tail = self._qemu.console.tail(TAIL_LINES)
        return PhaseTimeout(phase, what, deadline.seconds, tail, moment_of(self._qemu))
