"""The one way to the terminal: whatever is said goes through here, and comes out harmless.

Names of files, console lines, findings and all that is read from a dump or from evidence were
written by others; see ``harness.printable``. No other module here prints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from textwrap import indent
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from harness.files.json_text import to_text
from harness.printable import TAB, printable, printable_lines


def say(text: str = "") -> None:
    """One line on standard output; a line end within it is shown as one."""
    print(printable(text, keep=TAB))


def say_lines(text: str) -> None:
    """A text of others on standard output, with its own lines."""
    print(printable_lines(text))


def say_json(document: Any) -> None:
    """A document on standard output."""
    print(to_text(document))


def say_json_array(items: Iterable[Any]) -> None:
    """Many documents as one, an array, of which only one item at a time is in memory."""
    before = "["
    for item in items:
        print(f"{before}\n{indent(to_text(item).rstrip(), ' ')}", end="")
        before = ","
    print("[]" if before == "[" else "\n]")


def say_bytes(data: bytes) -> None:
    """Bytes as they are on standard output: for a file or another program, never a terminal."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def tell(text: str) -> None:
    """One line on standard error, at once."""
    print(printable(text, keep=TAB), file=sys.stderr, flush=True)


def plain(text: str, style: str = "") -> Text:
    """For rich: one line, with no markup in it."""
    return Text(printable(text, keep=TAB), style=style)


class SafeConsole(Console):
    """Rich's, whose commands to the terminal are its own: none comes out of a text."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(
            stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False
        )

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable_lines(text), style)
