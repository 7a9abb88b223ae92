"""night prune, unpack, abandon, pin: which evidence stays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.commands.nights.words import Results, Series, opened
from harness.cli.options import examples
from harness.cli.say import say

app = typer.Typer()


@app.command(
    "prune",
    epilog=examples(
        "zharness night prune --dry-run",
        "zharness night prune --nights 14 --days 60",
        "zharness night prune --size 20",
    ),
)
def prune(
    series: Series = "night",
    nights_: Annotated[
        int, typer.Option("--nights", min=0, help="The evidence of so many nights stays.")
    ] = 14,
    days: Annotated[
        int | None, typer.Option("--days", min=0, help="Also that of nights so many days old.")
    ] = None,
    size: Annotated[
        float | None,
        typer.Option("--size", min=0, metavar="GB", help="Keep all evidence below that size."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    results: Results = None,
) -> None:
    """Remove the evidence of old nights; their results stay in the database.

    With --size younger nights go, too, the oldest first, until the rest is small enough.

    The first and the last night with a failure stay, and nights that are pinned.
    """
    from harness.cli.show.verdict import table
    from harness.results.nights import nights
    from harness.results.prune import choose, remove, swept
    from harness.results.record import now

    with opened(results) as database, database.session() as session:
        history = nights(session, series)
    limit = None if size is None else size * 1e9
    choices = choose(history, now(), nights=nights_, days=days, size=limit)
    table(
        ("night", "evidence", "why", "MB"),
        (
            (
                str(each.night.number),
                "goes" if each.goes else "stays",
                each.why,
                f"{each.size / 1e6:.1f}",
            )
            for each in choices
        ),
    )
    for each in choices:
        if each.goes and not dry_run:
            remove(each)
    say(f"packs that no run needs then: {swept(history, choices, dry_run=dry_run) / 1e6:.1f} MB")


@app.command("unpack", epilog=examples("zharness night unpack nights/night/0007/runs/panic"))
def unpack(
    evidence: Annotated[Path, options.path_argument(help="Evidence directory of a run.")],
) -> None:
    """Restore the files of a run that a night has packed.

    Only other programs need that: zharness reads a packed run as it is.
    """
    from harness.cli.show.progress import progress_for
    from harness.evidence.pack.use import unpack as unpack_run

    count = unpack_run(evidence, progress_for(json=False, verbose=False))
    say(f"{evidence}: {count} files")


@app.command("abandon", epilog=examples("zharness night abandon 7"))
def abandon(
    number: Annotated[int, typer.Argument(help="Number of a night.", min=1)],
    series: Series = "night",
    results: Results = None,
) -> None:
    """Say that nobody will go on with a night that was killed: the next one is another night."""
    from harness.results.record import abandon as abandon_in

    with opened(results) as database:
        abandon_in(database, series, number)


@app.command("pin", epilog=examples("zharness night pin 7", "zharness night pin 7 --undo"))
def pin(
    number: Annotated[int, typer.Argument(help="Number of a night.", min=1)],
    series: Series = "night",
    undo: Annotated[bool, typer.Option("--undo", help="Let prune remove it again.")] = False,
    results: Results = None,
) -> None:
    """Never remove the evidence of a night."""
    from harness.results.record import pin as pin_in

    with opened(results) as database:
        pin_in(database, series, number, pinned=not undo)
