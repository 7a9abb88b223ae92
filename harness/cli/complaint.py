"""Error messages for the user. This module needs nothing that may be missing after an error."""

from __future__ import annotations

import sys

from harness.printable import printable_lines

_INDENT = "  "


def complain(message: str, hint: str | None = None) -> None:
    """Print to standard error what went wrong, and what to do about it."""
    print(f"zharness: {indented(message)}", file=sys.stderr)
    if hint:
        print(f"zharness: hint: {indented(hint)}", file=sys.stderr)


def restart_line() -> None:
    """Go to the start of the line: a terminal shows ``^C`` for Ctrl-C, and stays behind it."""
    if sys.stderr is not None and sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)


def indented(text: str) -> str:
    """``text`` with its second and later lines indented, so that they do not look like messages."""
    first, *rest = printable_lines(text).split("\n")
    return "\n".join([first, *(_INDENT + line.removeprefix(_INDENT) for line in rest)])
