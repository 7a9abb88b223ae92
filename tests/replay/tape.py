"""Record and play back all partners of a dump session except the gdbstub.

A tape is JSON lines: the object that was called, its arguments, and the result. Of memory that was
searched for instructions, only the instructions are kept; the rest is played back as zeros.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.qemu.monitor import Event
from harness.s390x.instructions import INSTRUCTION_SIZE, Opcode, find

LARGE = 1 << 16  # bytes; only the search for instructions reads so much at once


class Recorder:
    """Wraps objects so that calls of their methods are recorded on the tape."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def wrap(self, name: str, target: Any, *methods: str) -> SimpleNamespace:
        """``target`` with ``methods`` recorded; its plain values are copied."""
        wrapped = {method: self._recorded(f"{name}.{method}", target, method) for method in methods}
        values = {value: getattr(target, value) for value in ("size",) if hasattr(target, value)}
        return SimpleNamespace(**wrapped, **values)

    def _recorded(self, name: str, target: Any, method: str) -> Callable[..., Any]:
        def call(*arguments: Any, **_: Any) -> Any:
            # deadlines are not recorded; they are passed by keyword, or last
            result = getattr(target, method)(*arguments, **_)
            entry = {"call": name, "with": _plain_all(arguments), "gave": _encode(result)}
            self.lines.append(json.dumps(entry))
            return result

        return call


class Player:
    """Plays a tape: each call must be the recorded call, and gets the recorded result."""

    def __init__(self, lines: list[str]) -> None:
        self._script = deque(json.loads(line) for line in lines)

    def wrap(self, name: str, *methods: str, **values: Any) -> SimpleNamespace:
        return SimpleNamespace(
            **{method: self._played(f"{name}.{method}") for method in methods}, **values
        )

    @property
    def left(self) -> int:
        """The lines that were not played."""
        return len(self._script)

    def _played(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **_: Any) -> Any:
            entry = self._script.popleft()
            assert (entry["call"], entry["with"]) == (name, _plain_all(arguments))
            return _decode(entry["gave"])

        return call


def load(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _plain_all(arguments: tuple[Any, ...]) -> list[Any]:
    return [
        _plain(value) for value in arguments if isinstance(value, (int, str, bytes, dict, tuple))
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value


def _encode(result: Any) -> Any:
    if isinstance(result, bytes) and len(result) >= LARGE:
        hits = [
            [offset, result[offset : offset + INSTRUCTION_SIZE].hex()]
            for offset, _ in find(result, frozenset(Opcode))
        ]
        return {"size": len(result), "instructions": hits}
    if isinstance(result, bytes):
        return {"bytes": result.hex()}
    if isinstance(result, Event):
        return {"event": result.name, "data": dict(result.data)}
    return {"value": result}


def _decode(gave: dict[str, Any]) -> Any:
    if "instructions" in gave:
        memory = bytearray(gave["size"])
        for offset, instruction in gave["instructions"]:
            memory[offset : offset + INSTRUCTION_SIZE] = bytes.fromhex(instruction)
        return bytes(memory)
    if "bytes" in gave:
        return bytes.fromhex(gave["bytes"])
    if "event" in gave:
        return Event(gave["event"], gave["data"], 0.0)
    return gave["value"]
