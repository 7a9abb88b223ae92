"""What a run in a process of its own tells: an object of JSON a line, of one of these kinds.

======================================== ===================================================
``{"phase": name}``                       the run enters this phase
``{"task": what, "note": how far}``       what the run is at now, in words
``{"console": [machine, line]}``          a console line, if they are wanted
``{"verdict": verdict.json's content}``   the last one
``{"refused": [message, hint]}``           or this: the request makes no sense
======================================== ===================================================
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from harness.errors import ProtocolError
from harness.phase import Phase
from harness.progress import Task

NOTE_SECONDS = 1.0
_SHOWN = 200  # characters of a line that is no message


@dataclass(frozen=True)
class Entered:
    """The run has entered this phase."""

    phase: Phase


@dataclass(frozen=True)
class AtTask:
    """Words for people, who watch."""

    what: str
    note: str


@dataclass(frozen=True)
class ConsoleLine:
    machine: str
    line: str


@dataclass(frozen=True)
class Concluded:
    """``verdict`` is the content of ``verdict.json``."""

    verdict: Mapping[str, Any]


@dataclass(frozen=True)
class Refused:
    """The run was none: what is asked for cannot be."""

    message: str
    hint: str | None


Message = Entered | AtTask | ConsoleLine | Concluded | Refused


def decode(line: bytes) -> Message:
    """One line, with or without its end; raises ProtocolError if it is no message."""
    try:
        match json.loads(line):
            case {"phase": str(name), **rest} if not rest:
                return Entered(Phase(name))
            case {"task": str(what), "note": str(note), **rest} if not rest:
                return AtTask(what, note)
            case {"console": [str(machine), str(text)], **rest} if not rest:
                return ConsoleLine(machine, text)
            case {"verdict": dict(verdict), **rest} if not rest:
                return Concluded(verdict)
            case {"refused": [str(message), (str() | None) as hint], **rest} if not rest:
                return Refused(message, hint)
    except (ValueError, RecursionError):
        pass
    raise ProtocolError(f"a run's process said what is no message: {line[:_SHOWN]!r}")


class MessageReader:
    """Makes messages of bytes as they come."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that ``data`` completes; raises ProtocolError, after those before it."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            yield decode(line)


class Messages:
    """Writes messages to ``file``, from any thread."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock = file, threading.Lock()

    def enter(self, phase: Phase) -> None:
        self._send({"phase": phase})

    def at(self, what: str, note: str = "") -> None:
        self._send({"task": what, "note": note})

    def console(self, machine: str, line: str) -> None:
        self._send({"console": [machine, line]})

    def conclude(self, verdict: Mapping[str, Any]) -> None:
        self._send({"verdict": verdict})

    def refuse(self, message: str, hint: str | None) -> None:
        self._send({"refused": [message, hint]})

    def _send(self, message: Mapping[str, object]) -> None:
        line = json.dumps(message, default=str)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


class MessageProgress:
    """Tells the task that is under way, and how far it is once in a while."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._under_way: list[str] = []

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self._under_way.append(what)
        self._messages.at(what)
        try:
            yield _Noted(self._messages, what, total, unit)
        finally:
            self._under_way.remove(what)  # side by side, tasks end in any order
        if self._under_way:
            self._messages.at(self._under_way[-1])


class _Noted:
    def __init__(self, messages: Messages, what: str, total: float | None, unit: str) -> None:
        self._messages, self._what, self._unit = messages, what, unit
        self._of = f" of {total:.0f}" if total else ""
        self._last = time.monotonic()

    def update(self, done: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self._last >= NOTE_SECONDS:
            self._last = now
            self._messages.at(self._what, f"{done:.0f}{self._of} {self._unit} {note}".strip())
