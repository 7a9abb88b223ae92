"""Options of the commands for nights, and the database that they open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion, options
from harness.host.paths import default_results

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.results.database import Database

Results = Annotated[
    str | None,
    typer.Option(
        "--results",
        metavar="FILE|URL",
        envvar="ZHARNESS_RESULTS",
        help="Database of results: a SQLite file, or postgresql+psycopg://...",
        show_default=False,
    ),
]
Series = Annotated[
    str,
    typer.Option(
        "--series",
        help="Name of the series.",
        callback=options.plain_name,
        autocompletion=completion.series,
    ),
]
Number = Annotated[
    int | None, typer.Argument(help="Number of a night; by default the last one.", min=1)
]
Last = Annotated[int, typer.Option("--last", min=1, help="Look at so many nights.")]
Directory = Annotated[
    Path | None, options.path_option("--directory", help="Where the evidence goes.")
]
Again = Annotated[
    int, typer.Option("--again", min=0, max=9, help="Run what fails so many times more.")
]


@contextmanager
def opened(results: str | None) -> Iterator[Database]:
    from harness.results.database import Database

    database = Database.open(results or default_results())
    try:
        yield database
    finally:
        database.close()
