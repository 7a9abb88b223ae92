"""dump SNAPSHOT; dump info, and the other commands on dumps in files."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options, run
from harness.cli.default_command import DefaultCommandGroup
from harness.cli.options import examples

INFO_EXAMPLES = examples(
    "zharness dump info evidence/dump/dump.elf",
    "zharness dump info dump.elf --json | jq .panic",
)

DumpFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A dump, of any format that is known.")
]

app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Dump a stored crash again ([bold]zharness dump SNAPSHOT[/bold]), or look into dumps.",
    epilog=examples("zharness dump sysrq-c --hsa-size 128M", "zharness dump info dump.elf"),
    no_args_is_help=True,
)
app.command("snapshot", epilog=run.DUMP_EXAMPLES)(run.dump)  # the first one needs no name


@app.command(epilog=INFO_EXAMPLES)
def info(file: DumpFile, json: options.Json = False) -> None:
    """Say what a dump is: format, memory map, CPUs, kernel, panic, and what its headers tell."""
    from harness.cli.show_dump import show_info
    from harness.dump.describe import describe
    from harness.dump.detect import open_dump

    with open_dump(file) as dump:
        described = describe(dump)
    if json:
        print(jsonlib.dumps(described, indent=1))
    else:
        show_info(described)
