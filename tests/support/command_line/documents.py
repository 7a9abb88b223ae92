"""Read the tables and the commands of the documentation."""

from __future__ import annotations

from itertools import takewhile

import typer

from harness.cli.app import app
from harness.cli.default_command import DefaultCommandGroup


def documented(document: str, heading: str) -> list[tuple[str, ...]]:
    """The rows of the table in ``document`` that begins with ``heading``."""
    rows = document.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip(" `") for cell in row.strip("| ").split(" | ")) for row in rows]


def require_valid(words: list[str]) -> None:
    """The words behind ``zharness`` are a command that exists, with options that it has."""
    line, words = " ".join(words), list(words)
    command = typer.main.get_command(app)
    assert command.make_context("zharness", list(words), resilient_parsing=True) is not None
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands and isinstance(command, DefaultCommandGroup):
            words.insert(0, command.default)
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    for word in takewhile(lambda word: word != "--", words):  # behind it is another command
        if word.startswith("-"):
            assert word in options, line
