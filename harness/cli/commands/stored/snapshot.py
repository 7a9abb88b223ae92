"""snapshot create, list, show, remove."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion, options
from harness.cli.one_run import echo
from harness.cli.options import examples
from harness.cli.overrides import Overrides, overriding
from harness.cli.say import say, say_json, tell
from harness.cli.show.progress import progress_for

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.machine.snapshots import Snapshots

SnapshotNames = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names, or unique first parts of names.",
        autocompletion=completion.snapshot,
        show_default=False,
    ),
]

app = typer.Typer(help="Stored crashes: crash once, dump many times.", no_args_is_help=True)


@app.command(epilog=examples("zharness snapshot create panic --memory 1G --smp 4"))
@overriding("crashed")
def create(
    scenario: options.Scenario = "panic",
    *,
    overrides: Overrides,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Crash a system and keep the crash; if the store has it already, it is not made again."""
    from harness.images.store import Store
    from harness.run import engine
    from harness.run.batch.capacity import require_room
    from harness.run.plan import plan_of
    from harness.scenario.load import load

    plan = plan_of(scenario, load(scenario, overrides), time_factor=time_factor)
    require_room(plan.name, plan.scenario.crashed)
    progress = progress_for(json=json, verbose=verbose)
    snapshot = engine.create_snapshot(
        plan,
        store=Store(options.store_path(store), progress),
        progress=progress,
        on_line=echo if verbose else None,
    )
    if json:
        say_json(_describe(snapshot))
    else:
        say(snapshot.name)
        say(f"zharness dump {snapshot.name}")


@app.command("list", epilog=examples("zharness snapshot list --json"))
def list_(store: options.StorePath = None, json: options.Json = False) -> None:
    """Show all snapshots; for damaged ones, what is wrong and how to remove them."""
    from harness.cli.show.verdict import table
    from harness.errors import EvidenceError

    kept, found = _kept(store), []
    for name in kept.names():
        try:
            found.append(_describe(kept.open(name)))
        except EvidenceError as error:
            tell(f"zharness: {error.message}; {error.hint}")
    if json:
        say_json(found)
    else:
        rows = (
            (item["name"], item["memory"], str(item["cpus"]), item["qemu"] or "-", item["created"])
            for item in found
        )
        table(("name", "memory", "CPUs", "QEMU", "created"), rows)


@app.command(epilog=examples("zharness snapshot show sysrq-c"))
def show(
    snapshot: options.SnapshotName,
    store: options.StorePath = None,
    json: options.Json = False,
) -> None:
    """Show one snapshot: its machine, and every CPU's PSW and prefix."""
    from harness.cli.show.verdict import table
    from harness.evidence.pack.use import restored

    with ExitStack() as stack:
        if os.sep in snapshot:  # of a run, which may be packed
            progress = progress_for(json=json, verbose=False)
            stack.enter_context(restored(Path(snapshot).absolute().parent, progress))
        found = _kept(store).get(snapshot)
    if json:
        cpus = [cpu.to_json() for cpu in found.cpus]
        say_json({**_describe(found), **found.machine, "cpus": cpus})
        return
    for name, value in {**_describe(found), **found.machine}.items():
        say(f"{name}: {value}")
    rows = (
        (str(number), f"{cpu.psw_mask:016x} {cpu.psw_addr:016x}", f"{cpu.prefix:08x}")
        for number, cpu in enumerate(found.cpus)
    )
    table(("CPU", "PSW", "prefix"), rows)


@app.command(
    epilog=examples("zharness snapshot remove sysrq-c-2cpu", "zharness snapshot remove --all")
)
def remove(
    snapshots: SnapshotNames = None,
    every: Annotated[bool, typer.Option("--all", help="Remove all snapshots.")] = False,
    store: options.StorePath = None,
) -> None:
    """Remove snapshots from the store; evidence that shares their files keeps the files."""
    from harness.errors import UsageError

    if every is bool(snapshots):
        raise UsageError("name the snapshots, or give --all")
    kept = _kept(store)
    for name in (
        kept.names() if every else [kept.find(each, strictly=True) for each in snapshots or ()]
    ):
        kept.remove(name)
        say(f"{name}: removed")


def _kept(store: Path | None) -> Snapshots:
    from harness.images.store import Store
    from harness.machine.snapshots import Snapshots

    return Snapshots(Store(options.store_path(store), progress_for(json=False, verbose=False)))


def _describe(snapshot: Any) -> dict[str, Any]:
    from harness.scenario.sizes import format_size

    return {
        "name": snapshot.name,
        "memory": format_size(snapshot.memory),
        "cpus": len(snapshot.cpus),
        "trigger": snapshot.trigger,
        "qemu": snapshot.qemu,
        "created": snapshot.created,
        "directory": str(snapshot.directory),
    }
