"""A command in a real pseudo-terminal, and what a person sees of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect

from tests.support.command_line.zharness import command

ROWS = 24
# ECMA-48: control sequences that rich writes; a test fails if it sees any other
_CONTROL = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """The text on a terminal of ``columns``, with all lines that have scrolled away.

    It knows only what rich uses: text, CR, LF, cursor up, erase in line, colours, cursor on, off.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.cursor_is_on = True
        self.colours = self.controls = 0
        self._lines, self._row, self._column = [""], 0, 0
        self._rest = ""

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines).rstrip()

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    def feed(self, text: str) -> None:
        text, at = self._rest + text, 0
        self._rest = ""
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
            elif found := _CONTROL.match(text, at):
                self._control(*found.groups())
                at = found.end()
            else:
                assert len(text) - at < 16, f"no control sequence: {text[at : at + 16]!r}"
                self._rest = text[at:]
                return

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._down()
        else:
            assert character.isprintable(), repr(character)
            if self._column == self.columns:  # the terminal starts a new line
                self._column = 0
                self._down()
            line = self._lines[self._row].ljust(self._column)
            self._lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
            self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append("")

    def _control(self, private: str, parameters: str, what: str) -> None:
        self.controls += 1
        if what == "m":
            self.colours += 1
        elif what == "A":
            self._row = max(0, self._row - int(parameters or 1))
        elif what == "K":
            assert parameters == "2", parameters
            self._lines[self._row] = ""
        elif private and parameters == "25":
            self.cursor_is_on = what == "h"
        else:
            raise AssertionError(f"unknown control sequence: {private}{parameters}{what}")


class Terminal:
    """A command that runs in a pseudo-terminal; ends with the ``with`` block."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        seconds: float = 120,
        directory: Path | None = None,
        **environment: str,
    ) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CI")
        }
        self.screen = Screen(columns)
        self._end = time.monotonic() + seconds
        self._child = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(ROWS, columns),
            cwd=directory,
            env={**inherited, "TERM": "xterm-256color", **environment},
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.close(force=True)

    def wait(self, what: str | Callable[[str], bool]) -> None:
        """Wait until these words are on the screen, or until a condition on its text is true."""
        is_there = what if callable(what) else lambda text: what in text
        while not is_there(self.screen.text):
            assert self._read(), f"ended without {what}:\n{self.screen.text}"

    def press(self, keys: str) -> None:
        self._child.send(keys)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.press("\x03")

    def resize(self, columns: int) -> None:
        """Change the width: the program gets SIGWINCH, the text on the screen stays."""
        self._child.setwinsize(ROWS, columns)
        self.screen.columns = columns

    def end(self) -> int:
        """Read the output to its end; returns the exit code."""
        while self._read():
            pass
        self._child.wait()
        assert self._child.signalstatus is None, f"ended by signal {self._child.signalstatus}"
        assert self._child.exitstatus is not None
        return self._child.exitstatus

    def _read(self) -> bool:
        """Read more output; returns whether there was any."""
        left = self._end - time.monotonic()
        assert left > 0, f"still running:\n{self.screen.text}"
        try:
            self.screen.feed(self._child.read_nonblocking(1 << 12, timeout=left))
        except pexpect.TIMEOUT:
            raise AssertionError(f"silent:\n{self.screen.text}") from None
        except pexpect.EOF:
            return False
        return True


def on_terminal(
    *arguments: object, columns: int = 80, evidence: Path | None = None, seconds: float = 300
) -> Terminal:
    # children inherit the environment, so they can be found by it
    environment = {} if evidence is None else {"ZHARNESS_TEST_EVIDENCE": str(evidence)}
    return Terminal(command(*arguments), columns=columns, seconds=seconds, **environment)
