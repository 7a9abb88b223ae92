"""schema verdict."""

from __future__ import annotations

import typer

from harness.cli.options import examples
from harness.cli.say import say_json

app = typer.Typer(
    help="The form of files that programs read. That of scenarios: zharness scenario schema.",
    no_args_is_help=True,
)


@app.command(epilog=examples("zharness schema verdict > verdict.schema.json"))
def verdict() -> None:
    """Print the JSON Schema of verdict.json: all fields, and all kinds of findings."""
    from harness.report.verdict import schema

    say_json(schema())


@app.callback()
def _group() -> None:
    """More than one command, though there is only one yet."""
