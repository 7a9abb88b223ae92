"""A table in Markdown, for a mail or an issue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.cli.say import say
from harness.printable import printable

_MARKUP = re.compile(r"[\\|<`*]")


def show_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; a cell may contain anything, and stays one cell of plain text."""
    say(_row(map(_cell, titles)))
    say(_row("---" for _ in titles))
    for row in rows:
        say(_row(map(_cell, row)))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Line ends and control characters as escapes; markup without its meaning."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))
