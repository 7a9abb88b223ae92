"""One connection to an SSH server: commands, files, and a terminal for a person.

paramiko waits without a limit in many of its calls. So each operation runs in a thread of its own
(``Job``), while the caller's thread waits as the caller says: it may play the machine on which the
server runs. An operation that does not notice its deadline is ended with the connection.
"""

from __future__ import annotations

import math
import shlex
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self, TypeVar

from paramiko import Channel, SFTPClient, SSHException, Transport

from harness.closing import Closing
from harness.deadline import Deadline
from harness.ssh.channel import ended
from harness.ssh.command import Completed, run_command, shown
from harness.ssh.errors import ConnectionLost, NotInTime, SshError
from harness.ssh.handshake import Login, log_in, reach
from harness.ssh.job import Job
from harness.ssh.terminal import Size, Terminal, WaitingShell
from harness.ssh.transfer import get, put

GRACE_SECONDS = 5.0  # for an operation to notice its deadline, or the connection's end
CLOSE_SECONDS = 5.0  # for paramiko's thread to end

_Result = TypeVar("_Result")


class Wait(Protocol):
    """How to wait for an operation; returns when it has ended or the deadline has passed."""

    def __call__(self, ended: Callable[[float], bool], deadline: Deadline, /) -> None:
        """``ended`` says whether it has ended, and waits for the given seconds at most.

        What this raises ends the operation, and the connection.
        """


def just_wait(ended: Callable[[float], bool], deadline: Deadline, /) -> None:
    """Wait and do nothing else."""
    deadline.wait(ended)


class SshConnection(Closing):
    """A session of a user, made by ``open``; for one thread, and a context manager.

    Every method raises ConnectionLost if the connection ends or has ended, and NotInTime at the
    deadline. If that came while the server was silent, the connection has ended, too.
    """

    def __init__(self, transport: Transport, sock: socket.socket, where: str, wait: Wait) -> None:
        self._transport, self._sock, self._where, self._wait = transport, sock, where, wait
        self._sftp: SFTPClient | None = None

    @classmethod
    def open(
        cls,
        host: str,
        port: int,
        login: Login,
        deadline: Deadline,
        wait: Wait = just_wait,
        *,
        patience: float = math.inf,
    ) -> Self:
        """Log in; ``wait`` is how every operation is waited for.

        ``patience``: seconds in which the server has to send its first line. Raises NotYetUp if no
        server answers in time, HostKeyDiffers, LoginRefused; UsageError or HostError if a key of
        ``login`` cannot be used.
        """
        where = f"the SSH server on {host} port {port}"
        sock = reach(host, port, deadline)
        try:
            connection = cls(Transport(sock), sock, where, wait)
        except BaseException:
            sock.close()
            raise
        try:
            transport = connection._transport
            connection._carry_out(
                "login", lambda: log_in(transport, where, login, patience, deadline), deadline
            )
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def alive(self) -> bool:
        """Whether the connection has not been seen to end; its peer may be gone nevertheless."""
        return self._transport.is_active()

    def run(self, command: str, deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run ``command`` in the user's shell, until it has ended and its output, too.

        Whatever its status is, that is no error. Raises TooMuchOutput beyond ``OUTPUT_LIMIT``. A
        command that does not end in time may go on in the system.
        """
        return self._carry_out(
            shown(command), lambda: self._completed(command, stdin, deadline), deadline
        )

    def put(self, local: Path, remote: str, deadline: Deadline) -> None:
        """Write the file ``local`` to the path ``remote``, with its permissions.

        What is there before stays until all is written. Raises TransferFailed; UsageError or
        HostError if ``local`` cannot be read.
        """
        self._carry_out(
            f"the transfer of {local}",
            lambda: put(
                self._files(), local, remote, lambda at: self._has_room(at, deadline), deadline
            ),
            deadline,
        )

    def get(self, remote: str, local: Path, deadline: Deadline) -> None:
        """Write the file ``remote`` to ``local``, where nothing is before all has come.

        Raises TransferFailed; UsageError or HostError if ``local`` cannot be written.
        """
        self._carry_out(
            f"the transfer of {local}",
            lambda: get(self._files(), remote, local, deadline),
            deadline,
        )

    def waiting_shell(self, deadline: Deadline) -> WaitingShell:
        """A shell that waits for commands whose end nobody sees; the caller closes it."""
        return self._carry_out(
            "a shell", lambda: WaitingShell.start(self._channel(deadline)), deadline
        )

    def terminal(self, kind: str, size: Size, deadline: Deadline, command: str = "") -> Terminal:
        """The user's shell, or ``command``, on a terminal; the caller closes it.

        ``kind`` is the terminal's (the variable TERM).
        """
        return self._carry_out(
            "a terminal",
            lambda: Terminal.start(self._channel(deadline), kind, size, command),
            deadline,
        )

    def close(self) -> None:
        """End the connection at once, and whatever operation is under way."""
        with suppress(OSError):  # it has ended before
            self._sock.shutdown(socket.SHUT_RDWR)
        self._transport.close()
        if self._transport.is_alive():
            self._transport.join(CLOSE_SECONDS)
        self._sock.close()

    def _carry_out(self, what: str, work: Callable[[], _Result], deadline: Deadline) -> _Result:
        job = Job(work, f"SSH {what}")
        try:
            self._wait(job.ended, Deadline(deadline.remaining + GRACE_SECONDS))
        finally:
            stuck = not job.ended(0.0)
            if stuck:
                self.close()
                job.ended(GRACE_SECONDS)
        if stuck:
            raise NotInTime(f"{what} did not end in {deadline.seconds:.0f} s")
        try:
            return job.result()
        except SshError:
            raise
        except (SSHException, EOFError, OSError) as error:
            raise self._lost(what) from error

    def _lost(self, what: str) -> ConnectionLost:
        return ConnectionLost(f"{self._where} was lost during {what}")

    # what follows runs in the thread of an operation

    def _channel(self, deadline: Deadline) -> Channel:
        return self._transport.open_session(timeout=max(deadline.remaining, 0.001))

    def _completed(self, command: str, stdin: bytes, deadline: Deadline) -> Completed:
        with ended(self._channel(deadline)) as channel:
            return run_command(channel, command, stdin, deadline)

    def _files(self) -> SFTPClient:
        """The session for files; a new one if its server has ended."""
        channel = None if self._sftp is None else self._sftp.get_channel()
        if self._sftp is None or channel is None or channel.closed:
            self._sftp = self._transport.open_sftp_client()
        return self._sftp

    def _has_room(self, directory: str, deadline: Deadline) -> bool:
        """SFTP tells a full disk as "Failure" only; coreutils and busybox have this stat."""
        command = f"stat -f -c %f {shlex.quote(directory)}"
        return self._completed(command, b"", deadline).stdout.strip() != b"0"
