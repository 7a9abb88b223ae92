"""Shells that stay: one on a terminal for a person, one that waits for a last command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from paramiko import Channel, SSHException

from harness.closing import Closing
from harness.ssh.channel import end
from harness.ssh.errors import ConnectionLost

_PIECE = 1 << 15  # bytes


@dataclass(frozen=True)
class Size:
    """Of a terminal, in characters."""

    columns: int = 80
    rows: int = 24


class Terminal(Closing):
    """A program on a terminal of the system. Wait for it with select or poll on ``fileno``."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @classmethod
    def start(cls, channel: Channel, kind: str, size: Size, command: str) -> Self:
        channel.get_pty(kind, size.columns, size.rows)
        if command:
            channel.exec_command(command)
        else:
            channel.invoke_shell()
        return cls(channel)

    def fileno(self) -> int:
        """Ready to read when there is output, or its end."""
        return self._channel.fileno()

    def read(self) -> bytes:
        """The next output; b"" at its end. Waits if there is none."""
        return self._channel.recv(_PIECE)

    def write(self, keys: bytes) -> None:
        """What a person types; raises ConnectionLost."""
        _send(self._channel, keys)

    def resize(self, size: Size) -> None:
        """Tell the program that the terminal's size has changed."""
        self._channel.resize_pty(size.columns, size.rows)

    @property
    def status(self) -> int | None:
        """The exit status; None as long as there is none, or if there was none."""
        status = self._channel.exit_status if self._channel.exit_status_ready() else -1
        return status if status >= 0 else None

    def close(self) -> None:
        end(self._channel)


class WaitingShell(Closing):
    """A shell without a terminal that has been started, for a command that ends the system.

    Sending that needs no answer from the system, so nobody waits for one that cannot come.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @classmethod
    def start(cls, channel: Channel) -> Self:
        channel.exec_command("exec sh")
        return cls(channel)

    def send(self, command: str) -> None:
        """Let the shell start ``command``; raises ConnectionLost."""
        _send(self._channel, f"{command}\n".encode())

    def close(self) -> None:
        end(self._channel)


def _send(channel: Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
    except (SSHException, EOFError, OSError) as error:
        raise ConnectionLost("the SSH connection of a shell has ended") from error
