"""What is said of a command line that makes no sense: the word that was meant, the right help."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from pydantic import ValidationError

from harness.cli.say import say_json
from harness.errors import ExitCode
from harness.schema_words import typos_first, words


def explain(error: typer.TyperException) -> tuple[str, str]:
    """What is wrong, and what to do about it; Typer's own classes of errors are private to it."""
    context = getattr(error, "ctx", None)
    see = f"{context.command_path if context else 'zharness'} --help"
    near = getattr(error, "possibilities", None)  # of an option that there is not
    if near:
        return str(error), f"did you mean {' or '.join(near)}? See: {see}"
    if isinstance(error, typer.BadParameter) and isinstance(error.__cause__, ValidationError):
        error.message = words(typos_first(error.__cause__)[0])  # Typer gives pydantic's own
    return error.format_message(), see


def answer_as_json(
    arguments: Sequence[str], message: str, hint: str | None, code: ExitCode
) -> None:
    """A usage error as the JSON document that was asked for, if it was; docs/dumps.md.

    ``arguments`` are those of the command line, which could not be made sense of: so any --json
    counts.
    """
    if code is ExitCode.USAGE and "--json" in arguments:
        say_json({"error": message, "hint": hint, "exit_code": int(code)})
