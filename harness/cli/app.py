"""The command tree."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import __version__
from harness.cli.commands import (
    cluster,
    doctor,
    faults,
    man,
    replay,
    run,
    scenario,
    schema,
    system,
    verify,
)
from harness.cli.commands.dump import group as dump
from harness.cli.commands.kernels import bisect, config, kernel
from harness.cli.commands.look import attach, bundle, crash, drgn, explain, gdb
from harness.cli.commands.nights import issue, night
from harness.cli.commands.stored import images, prune, snapshot
from harness.cli.say import say

EXIT_CODES = (
    "Exit codes: 0 the dump is right, 1 the dump is wrong, 2 usage, "
    "3 environment or harness error, 4 (night) all failures are known, "
    "130, 143, 129 interrupted by SIGINT, SIGTERM, SIGHUP."
)

app = typer.Typer(
    help="Crash an s390x guest in QEMU, dump it with zfcpdump, and check the dump bit for bit.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},  # of all commands below, too
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"zharness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show version and exit."),
    ] = False,
) -> None:
    pass


app.command("run", epilog=run.EXAMPLES)(run.run)
app.command("replay", epilog=replay.EXAMPLES)(replay.replay)
app.add_typer(dump.app, name="dump")
app.command("verify", epilog=verify.EXAMPLES)(verify.verify)
app.command("explain", epilog=explain.EXAMPLES)(explain.explain)
app.command("drgn", epilog=drgn.EXAMPLES)(drgn.drgn)
app.command("crash", epilog=crash.EXAMPLES)(crash.crash)
app.command("attach", epilog=attach.EXAMPLES)(attach.attach)
app.command("gdb", epilog=gdb.EXAMPLES)(gdb.gdb)
app.command("bundle", epilog=bundle.EXAMPLES)(bundle.bundle)
app.add_typer(snapshot.app, name="snapshot")
app.add_typer(system.app, name="system")
app.add_typer(scenario.app, name="scenario")
app.add_typer(faults.app, name="faults")
app.add_typer(night.app, name="night")
app.add_typer(cluster.app, name="cluster")
app.add_typer(issue.app, name="issue")
app.add_typer(schema.app, name="schema")
app.add_typer(images.app, name="images")
app.command("prune", epilog=prune.EXAMPLES)(prune.prune)
app.add_typer(kernel.app, name="kernel")
app.add_typer(config.app, name="config")
app.add_typer(bisect.app, name="bisect")
app.command("man", epilog=man.EXAMPLES)(man.man)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
