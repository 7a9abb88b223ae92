"""The shell of a full system, over SSH; the machine is played while a command runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from harness.closing import Closing
from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.machine.system.console import SystemConsole
from harness.machine.system.watch import MachineWatch, SystemStopped
from harness.phase import Phase
from harness.printable import printable
from harness.ssh.command import Completed, shown
from harness.ssh.connection import SshConnection
from harness.ssh.errors import ConnectionLost, NotInTime, NotYetUp
from harness.ssh.handshake import Login
from harness.ssh.terminal import Size, Terminal

SHELL_SECONDS = 60.0  # to start the shell that waits for the trigger
LOST_SECONDS = 5.0  # from the connection's end to that of a system that goes down in order
# for the server's first line; each further try gets more, because a busy host may need it. One
# long try would be worse: QEMU's network repeats a connect seldom (slirp backs off, as TCP does)
PATIENCE_SECONDS = 3.0
MORE_PATIENCE = 1.3  # times as much
RETRY_SECONDS = 0.5  # between two tries

_SAID_LINES = 3

_Result = TypeVar("_Result")


class SshShell(Closing):
    """The shell of the user that has logged in. It implements ``Shell``; it owns the connection.

    Besides what ``Shell`` says, all methods raise HarnessError if the system stops meanwhile, and
    ConnectionLost if only its SSH server is gone.
    """

    def __init__(
        self, connection: SshConnection, console: SystemConsole, watch: MachineWatch
    ) -> None:
        self._connection, self._console, self._watch = connection, console, watch
        self._waiting = connection.waiting_shell(Deadline(SHELL_SECONDS))

    def close(self) -> None:
        self._connection.close()

    def run(self, command: str, deadline: Deadline) -> str:
        """What ``command`` prints on standard output, and then what it prints as errors.

        A command that ends in "&" goes on in the background, and what it prints is lost.
        """
        # sshd waits until nobody can write any more (OpenSSH session.c, do_exec_no_pty)
        background = command.rstrip().endswith("&")
        sent = f"{{ {command} }} < /dev/null > /dev/null 2>&1" if background else command
        what = shown(command)
        done = self._while_up(what, lambda: self._connection.run(sent, deadline), deadline)
        output = (done.stdout + done.stderr).decode(errors="replace")
        if done.status != 0:
            said = " / ".join(output.strip().splitlines()[-_SAID_LINES:]) or "nothing"
            how = "a signal ended it" if done.status is None else f"status {done.status}"
            raise HarnessError(f"{what} failed in the system ({how}): {printable(said)}")
        return output

    def completed(self, command: str, deadline: Deadline) -> Completed:
        """How ``command`` ends, whatever its status, and its two outputs."""
        run = self._connection.run
        return self._while_up(shown(command), lambda: run(command, deadline), deadline)

    def send(self, command: str) -> None:
        self._waiting.send(command)

    def put(self, local: Path, remote: str, deadline: Deadline) -> None:
        what = f"the transfer of {local}"
        self._while_up(what, lambda: self._connection.put(local, remote, deadline), deadline)

    def get(self, remote: str, local: Path, deadline: Deadline) -> None:
        what = f"the transfer of {printable(remote)}"
        self._while_up(what, lambda: self._connection.get(remote, local, deadline), deadline)

    def terminal(self, kind: str, size: Size, deadline: Deadline, command: str = "") -> Terminal:
        """A shell, or ``command``, on a terminal for a person; the caller closes it.

        ``kind`` is the terminal's (the variable TERM). Whoever waits for it must let
        ``MachineWatch.look`` see to the machine.
        """
        return self._while_up(
            "the start of a terminal",
            lambda: self._connection.terminal(kind, size, deadline, command),
            deadline,
        )

    def _while_up(self, what: str, use: Callable[[], _Result], deadline: Deadline) -> _Result:
        """What ``use`` returns; an error that names ``what`` if the system stops meanwhile."""
        try:
            try:
                return use()
            except ConnectionLost:
                # a system that goes down ends its SSH server first
                self._watch.wait(_nothing, deadline.at_most(LOST_SECONDS))
                raise
        except SystemStopped as error:
            raise HarnessError(f"the system stopped while {what} ran: {error.how}") from error
        except NotInTime as error:
            raise self._console.timeout(Phase.CRASH, f"{what} to end", deadline) from error


def log_in(
    login: Login,
    address: tuple[str, int],
    console: SystemConsole,
    watch: MachineWatch,
    phase: Phase,
    deadline: Deadline,
) -> SshConnection:
    """A connection to a system that is booting, as soon as it lets ``login`` in.

    Raises PhaseTimeout if it does not before the deadline, SystemStopped if the machine stops,
    HostKeyDiffers, LoginRefused.
    """
    patience = PATIENCE_SECONDS
    while True:
        try:
            return SshConnection.open(*address, login, deadline, watch.wait, patience=patience)
        except NotYetUp as error:
            if deadline.expired:
                what = f"a login over SSH ({error.message})"
                raise console.timeout(phase, what, deadline) from error
        patience *= MORE_PATIENCE
        watch.wait(_nothing, deadline.at_most(RETRY_SECONDS))


def _nothing(seconds: float) -> bool:
    """Waits for nothing, and so for as long as it may."""
    return threading.Event().wait(seconds)
