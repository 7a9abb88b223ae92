"""Keep a machine, paused, until a person lets it go; the side of the run.

One request is a line of JSON to the control socket: a list of words, the first of which is a
command. The answer is a line of JSON, too: an object with either ``said`` or ``error``.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.deadline import Deadline
from harness.dump.linux.vmcoreinfo_note import note_in
from harness.errors import HarnessError, HostError, QemuDied
from harness.evidence.directory import RunDirectory
from harness.evidence.held import Held, System, When
from harness.progress import Progress
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam

MONITOR_SECONDS = 60.0
LOOK_SECONDS = 1.0  # how often it is checked that QEMU still lives
REQUEST_BYTES = 1 << 16
REQUEST_SECONDS = 5.0  # a client sends its line at once
_MOST_LINES = 10_000  # of the console, in one answer
_LINES = 40

COMMANDS = {
    "status": "what is kept and why, and what each CPU does",
    "firmware": "what the played machine knows: HSA, last SDIAS requests, SIGP, DIAGNOSE X'308'",
    "console [LINES]": "the end of the console",
    "hmp WORD...": "a command for QEMU's human monitor, such as: hmp info registers",
    "qmp COMMAND [JSON]": "a command for QEMU's machine monitor (QMP), and its arguments",
    "release": "let the machine go: the run continues",
}


@dataclass(frozen=True)
class Kept:
    """A machine that has come to its end: stopped, and nobody else talks to its gdbstub.

    ``firmware`` tells what the played functions know.
    """

    qemu: Qemu
    ram: GuestRam
    system: System
    why: str
    firmware: Callable[[], Mapping[str, Any]]


class _NotUnderstoodError(Exception):
    """A request that is none; the text says why."""


@dataclass(frozen=True)
class Keeper:
    """Keeps the machine of the run in ``directory`` at one moment."""

    when: When
    directory: RunDirectory
    progress: Progress

    def keep(self, kept: Kept) -> None:
        """Until somebody says ``release``; raises QemuDied if QEMU ends before."""
        with TemporaryDirectory(prefix="zharness-") as private:
            control, gdb = Path(private, "control"), Path(private, "gdb")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
                _bind(server, control)
                server.listen()
                server.settimeout(LOOK_SECONDS)
                desk = _Desk(kept, gdb)
                desk.open()
                held = Held(
                    os.getpid(), kept.system, kept.why, str(control), str(gdb), _offset(kept.ram)
                )
                held.save(self.directory)
                try:
                    self._serve(server, desk)
                finally:
                    self.directory.held.unlink(missing_ok=True)

    def _serve(self, server: socket.socket, desk: _Desk) -> None:
        where = self.directory.root
        what = (
            f"the {desk.kept.system} is kept ({desk.kept.why}): zharness attach {where}, "
            f"zharness gdb {where}; to go on: zharness attach {where} release"
        )
        with self.progress.task(what):
            while not desk.released:
                desk.kept.qemu.check()
                with suppress(TimeoutError):
                    client, _ = server.accept()
                    with client, suppress(OSError):  # a client that has gone
                        client.settimeout(REQUEST_SECONDS)
                        client.sendall(desk.answer(_line_of(client)))


class _Desk:
    """Answers requests about one machine."""

    def __init__(self, kept: Kept, gdb: Path) -> None:
        self.kept, self.released, self._gdb = kept, False, gdb

    def open(self) -> None:
        """Let QEMU's gdbstub listen for a person's gdb, in place of ours."""
        self._human(f"gdbserver unix:{self._gdb},server=on,wait=off")

    def answer(self, line: bytes) -> bytes:
        """The answer to a request; raises QemuDied."""
        try:
            said: Any = self._said(_words(line))
        except _NotUnderstoodError as error:
            told: dict[str, Any] = {"error": str(error)}
        except QemuDied:
            raise
        except HarnessError as error:
            told = {"error": error.message}
        else:
            told = {"said": said}
        return json.dumps(told).encode() + b"\n"

    def _said(self, words: Sequence[str]) -> Any:
        kept = self.kept
        match words:
            case ["status"]:
                return {
                    "system": kept.system,
                    "why": kept.why,
                    "gdb": str(self._gdb),
                    "cpus": self._qmp("query-cpus-fast"),
                }
            case ["firmware"]:
                return kept.firmware()
            case ["console"]:
                return "\n".join(kept.qemu.console.tail(_LINES))
            case ["console", lines] if lines.isdecimal():
                return "\n".join(kept.qemu.console.tail(min(int(lines), _MOST_LINES)))
            case ["hmp", _, *_]:
                return self._human(" ".join(words[1:]))
            case ["qmp", command]:
                return self._qmp(command)
            case ["qmp", command, arguments]:
                return self._qmp(command, _object(arguments))
            case ["release"]:
                self.released = True
                return "the run continues"
        known = "; ".join(f"'{usage}'" for usage in COMMANDS)
        raise _NotUnderstoodError(f"'{' '.join(words)}' is no command; there are {known}")

    def _qmp(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        deadline = Deadline(MONITOR_SECONDS)
        return self.kept.qemu.monitor.execute(command, arguments, deadline=deadline)

    def _human(self, line: str) -> str:
        return self.kept.qemu.human_command(line, Deadline(MONITOR_SECONDS))


def _bind(server: socket.socket, path: Path) -> None:
    try:
        server.bind(str(path))
    except OSError as error:  # such as one whose name is too long for a socket
        raise HostError(
            f"{path}: no socket can be made there: {error}",
            hint="set TMPDIR to a directory with a short name",
        ) from error


def _line_of(client: socket.socket) -> bytes:
    """The request; raises OSError if it does not come."""
    line = b""
    while not line.endswith(b"\n") and len(line) < REQUEST_BYTES:
        more = client.recv(REQUEST_BYTES)
        if not more:
            break
        line += more
    return line


def _words(line: bytes) -> list[str]:
    try:
        words = json.loads(line)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _NotUnderstoodError("a request is a JSON list of words, in one line")
    return words


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _NotUnderstoodError(f"'{text}' is no JSON object")
    return found


def _offset(ram: GuestRam) -> int:
    """KERNELOFFSET in the VMCOREINFO that lies in ``ram``; 0 without it."""
    note = note_in(lambda at, size: ram.read(at, size) if at + size <= ram.size else b"")
    for line in (note or b"").splitlines():
        key, _, value = line.partition(b"=")
        if key == b"KERNELOFFSET":
            with suppress(ValueError):
                return int(value, 16)
    return 0
