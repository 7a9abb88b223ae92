"""``zharness``: the command line of ``harness.run`` and ``harness.images``.

Imports here must not fail for lack of memory or files: that would end in a traceback and exit
code 1, which means a wrong dump.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback

from harness.cli.complaint import complain, restart_line
from harness.cli.streams import Streams
from harness.errors import ExitCode
from harness.host.fault import host_fault
from harness.host.signals import Ending, exit_code_of

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with one of :class:`harness.errors.ExitCode`."""
    with Ending() as ending:
        try:
            code = _with_streams()
        except KeyboardInterrupt:
            code = _interrupted(ending)
    if sys.argv[1:3] == ["bisect", "step"] and code in (ExitCode.USAGE, ExitCode.ERROR):
        code = ExitCode.NO_ANSWER
    sys.exit(code)


def _ended(message: str, hint: str | None, code: int) -> int:
    complain(message, hint)
    return code


def _with_streams() -> int:
    with Streams() as streams:
        if streams.no_output:
            hint = "to discard the output, send it to /dev/null"
            return _ended("standard output is closed", hint, ExitCode.ERROR)
        code = _run()
        streams.flush()
        if streams.failure is not None:
            what = f"standard output cannot be written: {streams.failure.strerror}"
            return _ended(what, None, ExitCode.ERROR)
    return code


def _run() -> int:
    try:
        from harness.cli.command import run_command

        code = run_command()
    except SystemExit as error:  # Typer turns every broken pipe into this
        return _trouble(error.__context__ or error)
    except Exception as error:
        return _trouble(error)
    if code == ExitCode.INTERRUPTED:  # Typer turns KeyboardInterrupt into this
        raise KeyboardInterrupt
    return code


def _trouble(error: BaseException) -> int:
    """An error that nobody expected: one line for the user; the traceback only on request."""
    if os.environ.get("ZHARNESS_DEBUG"):
        traceback.print_exception(error)
    fault = host_fault(error)
    if fault is not None:
        return _ended(fault.message, fault.hint, fault.exit_code)
    hint = "ZHARNESS_DEBUG=1 shows the traceback; please report this error"
    return _ended(f"internal error: {type(error).__name__}: {error}", hint, ExitCode.ERROR)


def _interrupted(ending: Ending) -> int:
    number = ending.requests.first or signal.SIGINT
    by = "" if number == signal.SIGINT else f" by {number.name}"
    with Streams():  # so that the line is written even if the other streams have failed
        restart_line()
        return _ended(f"interrupted{by}", None, exit_code_of(number))
