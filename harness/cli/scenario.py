"""scenario list, show."""

from __future__ import annotations

import json as jsonlib

import typer

from harness.cli import options
from harness.cli.options import examples

app = typer.Typer(help="What can be crashed and dumped, as data.", no_args_is_help=True)


@app.command("list", epilog=examples("zharness scenario list"))
def list_(json: options.Json = False) -> None:
    """Show the scenarios that come with the harness."""
    from harness.cli.show import table
    from harness.scenario.load import load, scenario_files

    rows = [(name, load(name).description) for name in scenario_files()]
    if json:
        print(jsonlib.dumps([{"name": name, "description": what} for name, what in rows], indent=1))
    else:
        table(("name", "description"), rows)


@app.command(epilog=examples("zharness scenario show panic"))
def show(scenario: options.Scenario) -> None:
    """Show one scenario with all its defaults, as JSON."""
    from harness.scenario.load import load

    print(load(scenario).model_dump_json(indent=1))
