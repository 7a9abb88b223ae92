"""Run one command on a channel, to its end."""

from __future__ import annotations

import select
from dataclasses import dataclass

from paramiko import Channel

from harness.deadline import Deadline
from harness.printable import printable
from harness.ssh.errors import ConnectionLost, NotInTime, TooMuchOutput

OUTPUT_LIMIT = 8 << 20  # bytes that a command may print, on both streams together
SHOWN = 80  # characters of a command in a message

_PIECE = 1 << 16  # bytes
_LOOK_SECONDS = 0.05  # how often the window is looked at while input waits for it
_LOSS_SECONDS = 0.5  # from a channel's end to that of a connection that took it along


@dataclass(frozen=True)
class Completed:
    """How a command ended, and all that it printed.

    ``status`` is its exit status; None if a signal ended it (RFC 4254, section 6.10).
    """

    status: int | None
    stdout: bytes
    stderr: bytes


def shown(command: str) -> str:
    """``command`` for a message."""
    return f"'{printable(command, limit=SHOWN)}'"


def run_command(channel: Channel, command: str, stdin: bytes, deadline: Deadline) -> Completed:
    """Run ``command`` on the new ``channel``; its output has ended when this returns.

    Raises NotInTime at the deadline, TooMuchOutput beyond ``OUTPUT_LIMIT``, ConnectionLost;
    paramiko's SSHException, EOFError or OSError if the connection breaks.
    """
    channel.exec_command(command)
    streams = _Streams(channel, command, stdin)
    streams.exchange(deadline)
    if not deadline.wait(channel.status_event.wait):
        raise _too_late(command, deadline)
    status = channel.exit_status  # -1 until the server tells it
    if status < 0:
        transport = channel.get_transport()
        transport.join(_LOSS_SECONDS)
        if not transport.is_active():
            raise ConnectionLost(f"the SSH connection ended while {shown(command)} ran")
    return Completed(status if status >= 0 else None, bytes(streams.out), bytes(streams.err))


class _Streams:
    """Input and output of a command. Both flow at once: either may fill the channel's window."""

    def __init__(self, channel: Channel, command: str, stdin: bytes) -> None:
        self._channel, self._command = channel, command
        self._unsent, self._open = memoryview(stdin), True
        self.out, self.err = bytearray(), bytearray()

    def exchange(self, deadline: Deadline) -> None:
        """Until both outputs have ended."""
        news = select.poll()
        news.register(self._channel.fileno(), select.POLLIN)
        while True:
            # looked at first: what comes before the end is in the buffers then
            at_end = bool(self._channel.eof_received) or self._channel.closed
            moved = self._send() + self._receive()
            if deadline.expired:
                raise _too_late(self._command, deadline)
            if not moved:
                if at_end:
                    return
                seconds = deadline.remaining
                news.poll(1000 * (min(seconds, _LOOK_SECONDS) if self._unsent else seconds))

    def _send(self) -> int:
        """Send a piece of the input, if the window has room; returns its length in bytes."""
        count = 0
        try:
            if self._unsent and self._channel.send_ready():
                count = self._channel.send(bytes(self._unsent[:_PIECE]))
                self._unsent = self._unsent[count:]
            if self._open and not self._unsent:
                self._open = False
                self._channel.shutdown_write()
        except OSError:  # the channel has ended: the command may leave its input
            self._unsent = self._unsent[:0]
        return count

    def _receive(self) -> int:
        count = 0
        if self._channel.recv_ready():
            piece = self._channel.recv(_PIECE)
            self.out += piece
            count += len(piece)
        if self._channel.recv_stderr_ready():
            piece = self._channel.recv_stderr(_PIECE)
            self.err += piece
            count += len(piece)
        if len(self.out) + len(self.err) > OUTPUT_LIMIT:
            raise TooMuchOutput(
                f"{shown(self._command)} printed more than {OUTPUT_LIMIT >> 20} MiB",
                hint="let it write to a file, and get that",
            )
        return count


def _too_late(command: str, deadline: Deadline) -> NotInTime:
    return NotInTime(
        f"{shown(command)} did not end in {deadline.seconds:.0f} s",
        hint="what goes on in the background must not keep its output: COMMAND >/dev/null 2>&1 &",
    )
