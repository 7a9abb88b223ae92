"""Run as a program on a terminal: relays it to a system that tells what it gets, until a "q"."""

from __future__ import annotations

import socket
import sys

from harness.cli.terminal_relay import relay
from harness.errors import HarnessError
from harness.ssh.terminal import Size


class Echo:
    """Says the number of each key; ends at "q"."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._theirs.sendall(b"ready\r\n")

    def fileno(self) -> int:
        return self._ours.fileno()

    def read(self) -> bytes:
        return self._ours.recv(4096)

    def write(self, keys: bytes) -> None:
        for key in keys:
            self._theirs.sendall(f"key {key}\r\n".encode())
        if b"q" in keys:
            self._theirs.close()

    def resize(self, size: Size) -> None:
        self._theirs.sendall(f"size {size.columns}x{size.rows}\r\n".encode())


class Machine:
    """Stops after ``looks`` looks, if there are so many."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    def look(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise HarnessError("the system stopped: it panicked")


if __name__ == "__main__":
    try:
        relay(Echo(), Machine(int(sys.argv[1])).look)
    except HarnessError as error:
        print(error.message)
