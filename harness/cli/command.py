"""Run one command of ``zharness``, and return its exit code."""

from __future__ import annotations

import sys

import typer

from harness.cli.app import app
from harness.cli.complaint import complain
from harness.cli.usage import answer_as_json, explain
from harness.errors import ExitCode, HarnessError, OverrideError
from harness.scenario.model import OPTIONS


def run_command() -> int:
    """Run the command of the command line, and print what is wrong with it.

    Returns the command's own exit code, and INTERRUPTED for KeyboardInterrupt. Exceptions that no
    command raises on purpose pass through.
    """
    try:
        result = app(standalone_mode=False, prog_name="zharness")
    except OverrideError as error:
        names = {option.key: option.name for option in OPTIONS}
        return _refused(error.naming(names), error.hint, error.exit_code)
    except HarnessError as error:
        return _refused(error.message, error.hint, error.exit_code)
    except typer.TyperException as error:
        if not error.format_message():  # there were no arguments: the help has been shown
            return ExitCode.USAGE
        return _refused(*explain(error), ExitCode.USAGE)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.PASS


def _refused(message: str, hint: str | None, code: ExitCode) -> ExitCode:
    answer_as_json(sys.argv, message, hint, code)
    complain(message, hint)
    return code
