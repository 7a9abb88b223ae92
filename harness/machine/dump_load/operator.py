"""Plays the operator at the dump system's console, who answers what a dump tool asks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from harness.qemu.console_log import LINE_LIMIT

MOST = 64  # answers; a tool that asks again and again gets no more


class Reply(NamedTuple):
    """What to type when a regular expression is found in a line, which may be incomplete."""

    ask: str
    say: str


class Operator:
    """Gets the console's text as it comes; no I/O.

    The first reply that matches is typed, and its question is then over. ``typed`` are the
    questions with their answers.
    """

    def __init__(self, replies: Iterable[Reply]) -> None:
        self._replies = [(re.compile(reply.ask), reply.say) for reply in replies]
        self._line = ""
        self.typed: list[tuple[str, str]] = []

    def hear(self, text: str) -> str:
        """What to type now, with line ends; empty for nothing."""
        said = ""
        for piece in text.replace("\r", "").splitlines(keepends=True):
            self._line = (self._line + piece.rstrip("\n"))[-LINE_LIMIT:]
            said += self._answer()
            if piece.endswith("\n"):
                self._line = ""
        return said

    def _answer(self) -> str:
        for asked, say in self._replies:
            if len(self.typed) < MOST and asked.search(self._line):
                self.typed.append((self._line, say))
                self._line = ""
                return f"{say}\n"
        return ""
