"""system shell, run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options
from harness.cli.one_run import echo
from harness.cli.options import examples
from harness.cli.overrides import Overrides, overriding
from harness.cli.say import say_bytes, say_json, say_lines, tell
from harness.cli.show.progress import progress_for

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.machine.system.ssh_shell import SshShell
    from harness.run.system import Up
    from harness.ssh.command import Completed

KILLED = 255  # the exit code if a signal ended the command, as with ssh

Command = Annotated[
    list[str], typer.Argument(help="Command and its arguments, after '--'.", show_default=False)
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1.0, help="Seconds that the command may take.")
]

app = typer.Typer(
    help="Use a system without crashing it: a shell in it, or one command.", no_args_is_help=True
)


@app.command(
    epilog=examples(
        "zharness system shell debian  # 'exit' ends the shell, and the machine with it",
        "zharness system shell debian --load scsi --smp 4 --package strace",
    )
)
@overriding("crashed")
def shell(
    scenario: options.Scenario = "debian",
    *,
    overrides: Overrides,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    verbose: options.Verbose = False,
) -> None:
    """Boot the system of a scenario, and open a shell in it, over SSH.

    What is changed in the system is lost when the shell ends.
    """
    from harness.cli.terminal_relay import relay, size_of_screen
    from harness.deadline import Deadline
    from harness.errors import UsageError
    from harness.machine.system.ssh_shell import SHELL_SECONDS

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "system shell needs a terminal", hint="zharness system run SCENARIO -- COMMAND"
        )
    with _up(scenario, overrides, store, time_factor, json=False, verbose=verbose) as up:
        kind, size = os.environ.get("TERM", "dumb"), size_of_screen()
        deadline = Deadline(SHELL_SECONDS * time_factor)
        with _ssh(up).terminal(kind, size, deadline) as terminal:
            relay(terminal, up.system.watch.look)


@app.command(
    epilog=examples(
        "zharness system run debian -- uname -a",
        "zharness system run debian --suite trixie -- sh -c 'cat /proc/cmdline; lsscsi'",
        "zharness system run debian --json -- systemctl --failed",
    )
)
@overriding("crashed")
def run(
    scenario: options.Scenario,
    command: Command,
    *,
    overrides: Overrides,
    timeout: Timeout = 600.0,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Boot the system of a scenario, run a command in it over SSH, and end the machine.

    The exit code is the command's, as with ssh; an error of the harness has a message that begins
    with 'zharness:'.
    """
    from harness.deadline import Deadline

    with _up(scenario, overrides, store, time_factor, json=json, verbose=verbose) as up:
        done = _ssh(up).completed(shlex.join(command), Deadline(timeout * time_factor))
    _print(done, json=json)
    return KILLED if done.status is None else done.status


def _ssh(up: Up) -> SshShell:
    from harness.errors import UsageError
    from harness.machine.system.ssh_shell import SshShell

    shell = up.system.shell
    if not isinstance(shell, SshShell):
        raise UsageError(
            "this scenario's system has no SSH server",
            hint="choose a full system: --system debian --memory 1G",
        )
    return shell


def _print(done: Completed, *, json: bool) -> None:
    out, err = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    if json:
        say_json({"status": done.status, "stdout": out, "stderr": err})
        return
    if sys.stdout.isatty():
        if out:
            say_lines(out.removesuffix("\n"))
    else:
        say_bytes(done.stdout)
    for line in err.splitlines():
        tell(line)


@contextmanager
def _up(
    scenario: str,
    overrides: Overrides,
    store: Path | None,
    time_factor: float,
    *,
    json: bool,
    verbose: bool,
) -> Iterator[Up]:
    from harness.images.store import Store
    from harness.run.batch.capacity import require_room
    from harness.run.plan import plan_of
    from harness.run.system import booted_system
    from harness.scenario.load import load

    plan = plan_of(scenario, load(scenario, overrides), time_factor=time_factor)
    require_room(plan.name, plan.scenario.crashed)
    progress = progress_for(json=json, verbose=verbose)
    images = Store(options.store_path(store), progress)
    lines = (lambda line: echo("crash", line)) if verbose else None
    with (
        TemporaryDirectory(prefix="zharness-system-") as scratch,
        booted_system(plan, Path(scratch) / "run", images, progress, lines) as up,
    ):
        yield up
