"""scenario list, show, check, new, schema."""

from __future__ import annotations

import json as jsonlib
import os
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion, options
from harness.cli.options import examples
from harness.cli.say import say, say_json

app = typer.Typer(help="Scenarios: what is crashed and dumped.", no_args_is_help=True)

TEMPLATE = """\
# What this scenario is for.

description = {name}
extends = {parent}

[crashed]
# memory = "1G"
# smp = 4

[dump]
# layout = "ext4"

# one scenario for each combination:
# [matrix]
# hsa_size = ["32M", "64M"]
"""

Files = Annotated[
    list[str],
    typer.Argument(help="Names or paths.", autocompletion=completion.scenario),
]


@app.command("list", epilog=examples("zharness scenario list", "zharness scenario list --json"))
def list_(json: options.Json = False) -> None:
    """Show every concrete scenario that comes with the harness."""
    from harness.cli.show.verdict import table
    from harness.scenario.load import load_all, scenario_files

    found = [each for name in scenario_files() for each in load_all(name)]
    rows = [(each.name, each.scenario.description) for each in found]
    if json:
        say_json([{"name": name, "description": what} for name, what in rows])
    else:
        table(("name", "description"), rows)


@app.command(epilog=examples("zharness scenario show panic"))
def show(scenario: options.Scenario) -> None:
    """Show one concrete scenario with all its defaults, as JSON."""
    from harness.scenario.load import load

    say_json(load(scenario).model_dump(mode="json"))


@app.command(epilog=examples("zharness scenario check mine.toml"))
def check(files: Files) -> None:
    """Check scenario files; the message about the first mistake has file, line and field."""
    from harness.run.plan import plan_of
    from harness.scenario.load import load_all

    for file in files:
        found = load_all(file)
        for each in found:
            plan_of(each.name, each.scenario)
        say(f"{file}: {len(found)} scenario{'s' if len(found) > 1 else ''}, all well")


@app.command(epilog=examples("zharness scenario new mine.toml --extends panic"))
def new(
    file: Annotated[Path, options.path_argument(help="The file to write; must not exist.")],
    extends: Annotated[
        str,
        typer.Option(help="Scenario to start from.", autocompletion=completion.scenario),
    ] = "panic",
) -> None:
    """Write a scenario file to start from."""
    from harness.errors import HostError, UsageError
    from harness.scenario.load import SUFFIX, load_all, split_cell

    if file.suffix != SUFFIX:
        raise UsageError(f"{file}: the name of a scenario file must end in {SUFFIX}")
    parent, cell = split_cell(extends)
    if cell:
        raise UsageError(
            f"'{extends}' is one cell of a matrix; a file can only extend a whole file",
            hint=f"--extends {parent}, and set the fields of the cell in the new file",
        )
    load_all(parent)
    if parent.endswith(SUFFIX):  # the new file names it from where it stands itself
        parent = os.path.relpath(Path(parent).resolve(), file.parent.resolve())
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(TEMPLATE.format(name=_quoted(file.stem), parent=_quoted(parent)))
    except FileExistsError:
        raise UsageError(f"{file} exists already") from None
    except OSError as error:
        raise HostError(f"{file}: {error.strerror}") from error
    try:
        load_all(str(file))
    except UsageError:  # such as one that would extend itself, by its name
        file.unlink()
        raise
    say(f"{file}: edit it, then run: zharness scenario check {file}")


def _quoted(text: str) -> str:
    """A basic string of TOML; JSON has the same escapes, but leaves DEL as it is."""
    return jsonlib.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@app.command(epilog=examples("zharness scenario triggers --json"))
def triggers(json: options.Json = False) -> None:
    """Show every trigger and workload that a scenario can name."""
    from harness.cli.show.verdict import table
    from harness.triggers.table import TRIGGERS
    from harness.triggers.workloads import WORKLOADS

    rows = [(each.name, each.stopped.value, each.summary) for each in TRIGGERS.values()]
    rows += [(each.name, "workload", each.summary) for each in WORKLOADS.values()]
    if json:
        keys = ("name", "stops", "summary")
        say_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        table(("name", "how the machine stops", "what happens"), rows)


@app.command(epilog=examples("zharness scenario schema > scenario.schema.json"))
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from harness.scenario.model import ScenarioFile

    say_json(ScenarioFile.model_json_schema())
