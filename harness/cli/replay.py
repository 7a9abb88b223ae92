"""replay: the same run once more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.run import run_plan, show

EXAMPLES = examples("zharness replay evidence  # the same once more")


def replay(
    evidence: Annotated[Path, typer.Argument(help="Evidence directory of an earlier run.")],
    fresh: options.Fresh = False,
    output: options.Output = None,
    keep: options.Keep = False,
    judges: options.Judges = False,
    store: options.StorePath = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Run again what an earlier run did, by its evidence."""
    from harness.cli import batch
    from harness.errors import EvidenceError, UsageError
    from harness.json_file import read_object
    from harness.run.directory import RunDirectory
    from harness.run.plan import Plan

    former = RunDirectory(evidence)
    document = read_object(former.run)
    for part in ("plan", "inputs"):
        if not isinstance(document.get(part), dict):
            raise EvidenceError(f"{former.run}: holds no {part}")
    plan = Plan.from_json(document["plan"], former.run)
    if "crashed kernel" not in document["inputs"]:
        raise UsageError(
            f"{evidence} is a dump of a stored crash, so there is no crash to be made again",
            hint=f"zharness dump {former.crash}{os.sep} dumps it once more",
        )
    chosen = batch.Chosen(
        {},
        options.store_path(store),
        keep=keep,
        fresh=fresh,
        judges=judges,
        verbose=verbose,
        json=json,
    )
    return show(run_plan(plan, chosen, output), json)
