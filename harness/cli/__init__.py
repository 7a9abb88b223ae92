"""``zharness``: a thin front over ``harness.run`` and ``harness.build``."""

from __future__ import annotations

import os
import sys
import traceback

import typer

from harness.cli.app import app
from harness.cli.options import OVERRIDES
from harness.cli.say import complain
from harness.errors import ExitCode, HarnessError, OverrideError

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with one of :class:`harness.errors.ExitCode`."""
    code = _run()
    if sys.argv[1:3] == ["bisect", "step"] and code in (ExitCode.USAGE, ExitCode.ERROR):
        code = ExitCode.NO_ANSWER
    sys.exit(code)


def _run() -> int:
    try:
        result = app(standalone_mode=False, prog_name="zharness")
    except OverrideError as error:
        return _complain(error.naming(OVERRIDES), error.hint, error.exit_code)
    except HarnessError as error:
        return _complain(error.message, error.hint, error.exit_code)
    except typer.TyperException as error:
        if not error.format_message():  # no arguments at all: the help has been shown
            return ExitCode.USAGE
        return _complain(error.format_message(), "zharness --help", ExitCode.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", None, ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has gone; so that Python does not say so again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.ERROR
    except Exception as error:  # the last resort: no traceback for a user, all of it on request
        if os.environ.get("ZHARNESS_DEBUG"):
            traceback.print_exc()
        hint = "ZHARNESS_DEBUG=1 shows where; please report it"
        return _complain(f"internal error: {type(error).__name__}: {error}", hint, ExitCode.ERROR)
    if result == ExitCode.INTERRUPTED:  # Typer's own translation of KeyboardInterrupt
        return _complain("interrupted", None, ExitCode.INTERRUPTED)
    return result if isinstance(result, int) else ExitCode.PASS


def _complain(message: str, hint: str | None, code: ExitCode) -> ExitCode:
    complain(message, hint)
    return code
