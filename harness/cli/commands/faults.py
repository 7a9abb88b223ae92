"""faults list."""

from __future__ import annotations

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say_json

app = typer.Typer(help="What can go wrong on purpose in a dump.", no_args_is_help=True)


@app.command(
    "list",
    epilog=examples("zharness faults list", "zharness run quick --fault sdias-no-data:request=100"),
)
def list_(json: options.Json = False) -> None:
    """Show every kind of fault: what happens, and what a dump system promises then.

    A fault is written KIND:PLACE=NUMBER,... with places that the table names. A number may be
    decimal, hexadecimal (0x2000), or end in K, M or G. 'count=all' means: from there on.
    """
    from harness.cli.show.verdict import table
    from harness.faults.fault import example
    from harness.faults.table import FAULTS

    if json:
        say_json(
            [
                {
                    "kind": kind.name,
                    "summary": kind.summary,
                    "promise": kind.promise,
                    "why": kind.why,
                    "one of": list(kind.when),
                    "may have": list(kind.may),
                    "example": example(kind),
                }
                for kind in FAULTS.values()
            ]
        )
        return
    table(
        ("kind", "where", "what happens", "promise"),
        [
            (
                kind.name,
                ", ".join(filter(None, (" | ".join(kind.when), *kind.may))),
                kind.summary,
                kind.promise.value,
            )
            for kind in FAULTS.values()
        ],
    )


@app.callback()
def _group() -> None:
    """More than one command, though there is only one yet."""
