"""One run in this process: its consoles while it runs, and its verdict."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import options
from harness.cli.say import say_json, tell
from harness.cli.show.progress import progress_for

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.cli.batch.run import Chosen
    from harness.report.verdict import Verdict
    from harness.run.plan import Plan


def run_plan(plan: Plan, chosen: Chosen, output: Path | None) -> Verdict:
    """Do one run, in this process. Raises HostError if its memory does not fit."""
    from harness.images.store import Store
    from harness.run import engine
    from harness.run.batch.capacity import require_room

    if not chosen.memory_on_disk:
        require_room(plan.name, plan.scenario.crashed, or_else=", or use --memory-on-disk")
    # a run that waits for a person says so, on standard error
    silent = chosen.json and chosen.options.hold is None
    progress = progress_for(json=silent, verbose=chosen.consoles)
    return engine.run(
        plan,
        output=options.output_path(output, plan.name),
        store=Store(chosen.store, progress),
        progress=progress,
        **asdict(chosen.options),
        memory_on_disk=chosen.memory_on_disk,
        on_line=echo if chosen.consoles else None,
    )


def echo(machine: str, line: str) -> None:
    tell(f"{machine:5} | {line}")


def show(verdict: Verdict, json: bool) -> int:
    """Print the verdict; returns its exit code."""
    from harness.cli.show.verdict import show_verdict

    if json:
        document = {**verdict.to_json(), "directory": str(verdict.directory)}
        say_json(document)
    else:
        show_verdict(verdict)
    return int(verdict.exit_code)
