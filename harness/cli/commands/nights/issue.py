"""issue link, unlink, list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.commands.nights.words import Results, opened
from harness.cli.options import examples
from harness.cli.say import say, say_json
from harness.errors import UsageError

app = typer.Typer(help="Failures that are known, by their signature.", no_args_is_help=True)
Signature = Annotated[str, typer.Argument(help="Signature, or its beginning; see night diff.")]
Until = Annotated[
    datetime | None,
    typer.Option("--until", formats=["%Y-%m-%d"], help="After this day it counts as new again."),
]


@app.command(
    "link",
    epilog=examples(
        "zharness issue link '1:pages:page-differs:shifted by +0x1000' https://bugs.example/7",
        "zharness issue link 1:registers https://bugs.example/8 --until 2027-01-31",
    ),
)
def link(signature: Signature, url: str, until: Until = None, results: Results = None) -> None:
    """Say where a failure is known: nights that have only such failures end with exit code 4."""
    from harness.results.known import link as link_in

    with opened(results) as database, database.session() as session:
        text = link_in(session, signature, url, None if until is None else _end_of(until))
    say(f"known: {text}: {url}")


@app.command("unlink", epilog=examples("zharness issue unlink 1:registers"))
def unlink(signature: Signature, results: Results = None) -> None:
    """Take back that a failure is known."""
    from harness.results.known import unlink as unlink_in

    with opened(results) as database, database.session() as session:
        text = unlink_in(session, signature)
    say(f"not known any more: {text}")


@app.command("list", epilog=examples("zharness issue list"))
def list_(results: Results = None, json: options.Json = False) -> None:
    """Show all signatures that failures have had, and where they are known."""
    from harness.cli.show.verdict import table
    from harness.results.known import signatures

    with opened(results) as database, database.session() as session:
        found = signatures(session)
    if json:
        say_json(
            [
                {
                    "signature": each.text,
                    "runs": each.runs,
                    "url": each.url,
                    "until": each.until and each.until.date().isoformat(),
                }
                for each in found
            ]
        )
        return
    rows = (
        (
            each.text,
            str(each.runs),
            each.url or "",
            f"until {each.until:%Y-%m-%d}" if each.until else "",
        )
        for each in found
    )
    table(("signature", "runs", "known", ""), rows)


def _end_of(day: datetime) -> datetime:
    """The end of a day, as the database keeps times."""
    end = day.replace(hour=23, minute=59, second=59)
    if end < datetime.now(UTC).replace(tzinfo=None):
        raise UsageError(f"--until: {day:%Y-%m-%d} is over")
    return end
