"""crash."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, tell

Evidence = Annotated[Path, options.evidence_argument(help="Evidence directory of a run.")]
Commands = Annotated[
    list[str] | None,
    typer.Option("-c", metavar="COMMAND", help="A command for crash; repeatable; else from stdin."),
]
EXAMPLES = examples(
    "zharness crash evidence -c 'bt -a' -c log",
    "zharness crash evidence < commands",
)


def crash(
    evidence: Evidence,
    commands: Commands = None,
    vmlinux: options.CrashedVmlinux = None,
    store: options.StorePath = None,
) -> int:
    """Let the genuine crash utility answer questions about the dump of a run.

    It is the crash of s390x, in a guest of its own, which takes half a minute to start. The exit
    code is 1 if it cannot open the dump.
    """
    from harness.cli.show.progress import progress_for
    from harness.errors import UsageError
    from harness.images.store import Store
    from harness.judges.crash.guest import Crash
    from harness.verify.evidence import Evidence as Opened
    from harness.verify.semantic.check import why_not_readable

    if not commands and sys.stdin.isatty():
        tell("Type commands for crash, and Ctrl-D:")
    lines = commands or sys.stdin.read().splitlines()
    progress = progress_for(json=False, verbose=False)
    with Opened.open(evidence, vmlinux, progress) as opened:
        judge = Crash(Store(options.store_path(store), progress), progress)
        dump, path = opened.dump, opened.dump_path
        if dump is None or path is None:
            raise UsageError(f"there is no dump: {opened.dump_fault}")
        if reason := why_not_readable(opened) or judge.unknown(path, dump):
            raise UsageError(f"crash cannot read this dump: {reason}")
        assert opened.vmlinux is not None
        judge.prepare()
        said = judge.ask(path, dump.format, opened.vmlinux, lines)
    for line in said.text.splitlines():
        say(line)
    return 1 if said.status else 0
