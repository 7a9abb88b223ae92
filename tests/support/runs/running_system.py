"""A running system without QEMU: its console is real, its shell may be a test double."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from harness.deadline import Deadline
from harness.errors import QemuDied
from harness.qemu.console import Console
from harness.qemu.monitor import Event

SECONDS = 10
REASON = {"info": {"core": 0}}


class Guest:
    """The guest's end of a real console, and a fake QMP that knows how the machine ended."""

    def __init__(self, log: Path, ended: str | None = "GUEST_PANICKED") -> None:
        ours, self.sock = socket.socketpair()
        self.console = Console(ours, log, name="g", started=time.monotonic())
        self.held = None
        self.monitor = SimpleNamespace(execute=self._execute, wait_event=self._wait_event)
        self.alive = True
        self.done: list[str] = []  # by the operator
        self.notes: list[str] = []
        self.ended = ended

    @classmethod
    @contextmanager
    def living(cls, log: Path) -> Iterator[Guest]:
        guest = cls(log)
        yield guest
        guest.sock.close()
        guest.console.close()

    def say(self, text: str) -> None:
        self.sock.sendall(text.encode())

    def typed(self) -> str:
        """Everything that was typed."""
        self.sock.settimeout(SECONDS)
        return self.sock.recv(4096).decode()

    def check(self) -> None:
        if not self.alive:
            raise QemuDied("QEMU 'crash' ended on its own")

    def note(self, event, /, **details) -> None:
        self.notes.append(event)

    def _execute(self, command, arguments=None, *, deadline) -> None:
        self.done.append(command)

    def _wait_event(self, names, deadline) -> Event | None:
        return None if self.ended is None else Event(self.ended, REASON, 0.0)

    def scheduling(self) -> None:
        """Nothing is known of its process."""

    def human_command(self, line: str, deadline: object) -> str:
        return ""


class FakeShell:
    """A shell without a system: it records commands, and fails on request."""

    def __init__(self, error: Exception | None = None, output: str = "") -> None:
        self.ran: list[str] = []
        self.sent: list[str] = []
        self.put_there: list[tuple[Path, str]] = []
        self._error, self._output = error, output

    def run(self, command: str, deadline: Deadline) -> str:
        assert deadline.remaining > 0
        self.ran.append(command)
        if self._error is not None:
            raise self._error
        return self._output

    def send(self, command: str) -> None:
        self.sent.append(command)

    def put(self, local: Path, remote: str, deadline: Deadline) -> None:
        self.put_there.append((local, remote))

    def get(self, remote: str, local: Path, deadline: Deadline) -> None:
        raise AssertionError(f"nobody put {remote} there")
