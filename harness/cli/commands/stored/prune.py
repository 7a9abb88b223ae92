"""prune."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say
from harness.cli.show.progress import progress_for

EXAMPLES = examples(
    "zharness prune --dry-run",
    "zharness prune --days 90",
    "zharness prune --size 20  # keep the store below 20 GB",
    "zharness night prune  # the evidence of nights",
)


def prune(
    days: Annotated[
        float, typer.Option("--days", min=0, help="What was not used for so many days goes.")
    ] = 30,
    size: Annotated[
        float | None,
        typer.Option(
            "--size", min=0, metavar="GB", help="Also what was used longest ago, down to that size."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    store: options.StorePath = None,
) -> None:
    """Remove images and stored crashes that were not used for long; what a process uses stays.

    An image is built again when it is needed, and a crash is made again. The vmlinux of a kernel
    goes with its image; old evidence may need it.
    """
    from harness.cli.show.verdict import table
    from harness.images.store import Store
    from harness.machine.prune import choose, remove

    place = Store(options.store_path(store), progress_for(json=False, verbose=False))
    limit = None if size is None else size * 1e9
    choices = choose(place, time.time(), days=days, size=limit)
    table(
        ("name", "what", "", "why", "MB"),
        (
            (
                each.item.name,
                "crash" if each.item.is_crash else "image",
                "goes" if each.goes else "stays",
                each.why,
                f"{each.item.size / 1e6:.1f}",
            )
            for each in choices
        ),
    )
    if dry_run:
        say(f"would free {sum(each.item.size for each in choices if each.goes) / 1e6:.1f} MB")
    else:
        say(f"freed {remove(place, choices) / 1e6:.1f} MB")
