"""attach."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json, tell

if TYPE_CHECKING:
    from harness.evidence.held import Held

Evidence = Annotated[
    Path, options.evidence_argument(help="Evidence directory of a run that keeps a machine.")
]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[COMMAND]...", help="A command; by default you can type many."),
]
PROMPT = "machine> "
EXAMPLES = examples(
    "zharness attach evidence  # see the console, and type commands",
    "zharness attach evidence firmware",
    "zharness attach evidence hmp 'info registers -a'",
    "zharness attach evidence release",
)


def attach(evidence: Evidence, command: Words = None) -> None:
    """Look at a machine that a run keeps (--hold), while it stands still.

    Commands are: status, firmware (what the played machine knows), console [LINES],
    hmp and qmp (QEMU's monitors), release (the run goes on). zharness gdb reaches its CPUs.
    """
    from harness.evidence.held import Held
    from harness.machine.hold.client import ask

    held = Held.load(evidence)
    if command:
        _print(ask(held, command))
        return
    say(f"the {held.system} is kept: {held.why}")
    _print(ask(held, ["console"]))
    _converse(held)


def _converse(held: Held) -> None:
    """Until the end of the input, or the machine's release."""
    from harness.errors import HarnessError
    from harness.machine.hold.client import ask
    from harness.machine.hold.keeper import COMMANDS

    if sys.stdin.isatty():
        for usage, what in COMMANDS.items():
            tell(f"{usage:20} {what}")
    while True:
        try:
            line = input(PROMPT if sys.stdin.isatty() else "")
        except EOFError:
            return
        try:
            words = shlex.split(line)
            if words:
                _print(ask(held, words))
        except (HarnessError, ValueError) as error:
            tell(str(error))
            continue
        if words == ["release"]:
            return


def _print(answer: object) -> None:
    if not isinstance(answer, str):
        say_json(answer)
        return
    for line in answer.splitlines():
        say(line)
