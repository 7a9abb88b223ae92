"""gdb."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say

Evidence = Annotated[
    Path, options.evidence_argument(help="Evidence directory of a run that keeps a machine.")
]
Print = Annotated[bool, typer.Option("--print", help="Show the command, and start nothing.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[-- OPTION]...", help="Further options for gdb, behind --."),
]
EXAMPLES = examples(
    "zharness gdb evidence",
    "zharness gdb evidence -- -batch -ex 'thread apply all backtrace'",
    "zharness gdb evidence --print",
)


def gdb(evidence: Evidence, print_: Print = False, arguments: Words = None) -> None:
    """Start gdb on a machine that a run keeps (--hold), with the kernel's vmlinux.

    The debugger is gdb-multiarch, or a gdb that knows s390. The dump kernel has a vmlinux if it was
    built with --dump-config CONFIG_DEBUG_INFO_DWARF5=y.
    """
    from harness.evidence.held import Held
    from harness.run.debugger import command_of

    command = command_of(evidence, Held.load(evidence), arguments or ())
    if print_:
        import shlex

        say(shlex.join(command))
        return
    os.execvp(command[0], command)  # noqa: S606 - the debugger gets the terminal
