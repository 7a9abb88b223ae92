"""All output to the terminal goes through this module, which makes control characters harmless.

File names, console lines, findings and everything that is read from a dump or from evidence may
come from others; see ``harness.printable``. No other module of ``harness.cli`` prints.
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
    """Print one line to standard output; a line end within it is shown as an escape."""
    print(printable(text, keep=TAB))


def say_lines(text: str) -> None:
    """Print a text from others to standard output, with its own line ends."""
    print(printable_lines(text))


def say_json(document: Any) -> None:
    """Print a document to standard output."""
    print(to_text(document))


def say_json_array(items: Iterable[Any]) -> None:
    """Print many documents as one array; only one of them at a time is in memory."""
    before = "["
    for item in items:
        print(f"{before}\n{indent(to_text(item).rstrip(), ' ')}", end="")
        before = ","
    print("[]" if before == "[" else "\n]")


def say_bytes(data: bytes) -> None:
    """Write bytes unchanged to standard output: for a file or another program, not a terminal."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def tell(text: str) -> None:
    """Print one line to standard error, without delay."""
    print(printable(text, keep=TAB), file=sys.stderr, flush=True)


def plain(text: str, style: str = "") -> Text:
    """One line without markup, for rich."""
    return Text(printable(text, keep=TAB), style=style)


class SafeConsole(Console):
    """Rich's console. Only rich itself sends commands to the terminal; a text cannot."""

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
