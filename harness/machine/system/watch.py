"""See to the machine while somebody waits for something else: for an answer over SSH."""

from __future__ import annotations

from collections.abc import Callable

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.machine.system.console import SystemConsole
from harness.machine.system.session import SystemSession
from harness.printable import printable
from harness.qemu.process import Qemu

LOOK_SECONDS = 0.01  # how often the machine is looked at
END_SECONDS = 2.0  # from a machine's stop to the event that says why
# QEMU qapi/run-state.json; a reset is one that the guest asked for
END_EVENTS = {
    "GUEST_PANICKED": "it panicked",
    "SHUTDOWN": "it powered off",
    "RESET": "it restarted",
}

_SHOWN = 120  # characters of a console line


class SystemStopped(HarnessError):
    """The system stopped while it was used; ``how`` is what the machine says, for a message."""

    def __init__(self, how: str) -> None:
        super().__init__(f"the system stopped: {how}")
        self.how = how


class MachineWatch:
    """Plays the machine, and notices its end: by QMP or DIAGNOSE X'308', never by SSH.

    ``session`` is None if QEMU's ``-kernel`` loaded the system: then nothing is played.
    """

    def __init__(self, qemu: Qemu, session: SystemSession | None, console: SystemConsole) -> None:
        self._qemu, self._session, self._console = qemu, session, console

    def wait(self, ended: Callable[[float], bool], deadline: Deadline, /) -> None:
        """Wait until something has ``ended`` (see ``harness.ssh.connection.Wait``).

        Raises what ``look`` raises.
        """
        while not ended(LOOK_SECONDS) and not deadline.expired:
            self.look()

    def look(self) -> None:
        """Play what has come; raises SystemStopped, QemuDied."""
        if self._session is None:
            self._require_no_event(Deadline(0.0))
            self._qemu.check()
            return
        seen = -1
        while not self._console.stands and self._session.handled != seen:
            seen = self._session.handled
            self._console.stands = not self._session.play(Deadline(LOOK_SECONDS), 0.0)
        if self._console.stands:
            self._stands(self._session)

    def _stands(self, session: SystemSession) -> None:
        if session.dump_requested:
            raise SystemStopped("it asked for a dump load (DIAGNOSE X'308')")
        if session.gone:
            raise SystemStopped("it asked for another load (DIAGNOSE X'308')")
        self._require_no_event(Deadline(END_SECONDS))
        raise SystemStopped("QEMU does not say why")

    def _require_no_event(self, deadline: Deadline) -> None:
        event = self._qemu.monitor.wait_event(tuple(END_EVENTS), deadline)
        if event is not None:
            raise SystemStopped(f"{END_EVENTS[event.name]} ({event.name}){self._last_line()}")

    def _last_line(self) -> str:
        (line,) = self._qemu.console.tail(1) or ("",)
        return f"; its last line: {printable(line.strip(), limit=_SHOWN)}" if line.strip() else ""
