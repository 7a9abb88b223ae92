"""man: print the manual page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import typer
from rich.text import Text

from harness import __version__
from harness.cli.options import examples
from harness.cli.say import say_lines

EXAMPLES = examples("zharness man > zharness.1", "zharness man | man -l -")
_SPACE = re.compile(r"\s+")


def man(context: typer.Context) -> None:
    """Print one manual page with all commands, in the language of man."""
    root = context.find_root().command
    say_lines("\n".join(page(root, root.epilog or "")))


def page(root: Any, exit_codes: str) -> Iterator[str]:
    """The lines of the page of a tree of commands.

    The date is that of SOURCE_DATE_EPOCH, if a build sets it.
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    day = datetime.fromtimestamp(int(seconds), UTC) if seconds else datetime.now(UTC)
    yield f'.TH ZHARNESS 1 "{day:%Y-%m-%d}" "zharness {__version__}"'
    yield ".SH NAME"
    yield _text(f"zharness - {root.help}")
    yield ".SH SYNOPSIS"
    yield ".B zharness"
    yield _text("COMMAND [OPTIONS]")
    yield ".SH COMMANDS"
    yield from _commands("zharness", root, None)
    yield ".SH EXIT STATUS"
    yield _text(exit_codes)


def _commands(name: str, command: Any, parent: Any) -> Iterator[str]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    children = getattr(command, "commands", {})
    if parent is not None:
        pieces = " ".join(command.collect_usage_pieces(context))
        yield f'.SS "{_escaped(f"{context.command_path} {pieces}")}"'
        yield from _paragraphs(_plain(command.help or ""))
        for parameter in command.params:
            if (record := parameter.get_help_record(context)) is not None:
                yield ".TP"
                yield f".B {_text(record[0])}"
                words = parameter.help or ""  # behind them is what is no markup: [default: x]
                yield _text(_plain(words) + record[1].removeprefix(words))
        yield from _paragraphs(_plain(command.epilog or ""))
    for child in children:
        if not children[child].hidden:
            yield from _commands(child, children[child], context)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield ".PP"
            yield _text(paragraph)


def _plain(text: str) -> str:
    """Without the markup of rich."""
    return Text.from_markup(text).plain


def _text(text: str) -> str:
    """One line of text, which is no request even if it begins like one."""
    return rf"\&{_escaped(text)}" if text.lstrip()[:1] in (".", "'") else _escaped(text)


def _escaped(text: str) -> str:
    line = _SPACE.sub(" ", text).strip()
    return line.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
