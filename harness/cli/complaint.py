"""What is wrong, in a line for the user; it needs nothing that may be missing then."""

from __future__ import annotations

import sys

from harness.printable import printable_lines

_INDENT = "  "


def complain(message: str, hint: str | None = None) -> None:
    """What went wrong, and what to do about it, on standard error."""
    print(f"zharness: {indented(message)}", file=sys.stderr)
    if hint:
        print(f"zharness: hint: {indented(hint)}", file=sys.stderr)


def indented(text: str) -> str:
    """A text that may have several lines, none of which begins where a line of ours does."""
    first, *rest = printable_lines(text).split("\n")
    return "\n".join([first, *(_INDENT + line.removeprefix(_INDENT) for line in rest)])
