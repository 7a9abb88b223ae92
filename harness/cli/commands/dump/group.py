"""dump, and the commands below it."""

from __future__ import annotations

import typer

from harness.cli.commands.dump import files, snapshot
from harness.cli.default_command import DefaultCommandGroup
from harness.cli.options import examples

app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Dump a stored crash again ([bold]zharness dump SNAPSHOT[/bold]), or inspect dumps.",
    epilog=examples(
        "zharness dump sysrq-c --hsa-size 128M  # dump a stored crash again",
        "zharness dump info dump.elf",
        "zharness dump compare dump.elf other.elf",
        "zharness dump check dump.elf",
        "zharness dump extract dump.elf dmesg",
    ),
    no_args_is_help=True,
)
app.command("snapshot", epilog=snapshot.EXAMPLES)(snapshot.dump)  # the first one needs no name
app.command(epilog=files.INFO_EXAMPLES)(files.info)
app.command(epilog=files.COMPARE_EXAMPLES)(files.compare)
app.command(epilog=files.CHECK_EXAMPLES)(files.check)
app.command(epilog=files.JUDGE_EXAMPLES)(files.judge)
app.command(epilog=files.EXTRACT_EXAMPLES)(files.extract)
app.command(epilog=files.CONVERT_EXAMPLES)(files.convert)
