"""Messages about a command line that is not valid: the word that was meant, the right help."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from pydantic import ValidationError

from harness.cli.say import say_json
from harness.errors import ExitCode
from harness.schema_words import typos_first, words


def explain(error: typer.TyperException) -> tuple[str, str]:
    """What is wrong, and what to do about it. (Typer's own error classes are private to it.)"""
    context = getattr(error, "ctx", None)
    see = f"{context.command_path if context else 'zharness'} --help"
    near = getattr(error, "possibilities", None)  # only if the option does not exist
    if near:
        return str(error), f"did you mean {' or '.join(near)}? See: {see}"
    if isinstance(error, typer.BadParameter) and isinstance(error.__cause__, ValidationError):
        error.message = words(typos_first(error.__cause__)[0])  # Typer gives pydantic's own
    return error.format_message(), see


def answer_as_json(
    arguments: Sequence[str], message: str, hint: str | None, code: ExitCode
) -> None:
    """Print a usage error as a JSON document, if JSON was requested; see README.

    ``arguments`` are those of the command line. They could not be parsed, so --json counts
    anywhere among them.
    """
    if code is ExitCode.USAGE and "--json" in arguments:
        say_json({"error": message, "hint": hint, "exit_code": int(code)})
