"""faults list, sweep, power-cuts."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli import completion, options
from harness.cli.one_run import show
from harness.cli.options import examples
from harness.cli.overrides import Overrides, overriding
from harness.cli.say import say, say_json
from harness.cli.show.progress import progress_for

Kind = Annotated[
    str,
    typer.Option("--kind", help="Kind of fault.", autocompletion=completion.fault),
]
Every = Annotated[
    int, typer.Option("--every", parser=options.size, metavar="N", help="From place to place.")
]
First = Annotated[
    int | None,
    typer.Option("--from", parser=options.size, metavar="N", help="First place; default: --every."),
]
Until = Annotated[
    int | None,
    typer.Option("--until", parser=options.size, metavar="N", help="Last place; default: the end."),
]
Points = Annotated[
    int, typer.Option("--points", min=1, max=100_000, help="At how many moments it is cut.")
]
AskZgetdump = Annotated[
    bool,
    typer.Option(
        "--zgetdump", help="Also ask the real zgetdump about each dump partition that is not whole."
    ),
]

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


@app.command(
    epilog=examples(
        "zharness faults sweep quick --kind disk-write-error --every 4M --output sweep",
        "zharness faults sweep quick --kind sdias-not-accepted --every 1000 -j 2",
        "zharness faults sweep quick --kind disk-write-error --every 4M --output sweep --resume",
    ),
)
@overriding("crashed", "dump")
def sweep(
    scenario: options.Scenario = "quick",
    *,
    overrides: Overrides,
    kind: Kind,
    every: Every,
    first: First = None,
    until: Until = None,
    output: options.Output = None,
    resume: options.Resume = False,
    jobs: options.Jobs = None,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
) -> int:
    """Let one kind of fault happen at many places, and find the smallest place that fails.

    The scenario runs once without a fault, which tells where its dump ends. The crash is made once.
    In DIR, 'sweep.toml' is a scenario file with all places, and 'runs' has their evidence. A place
    that the dump system does not come to is counted apart.
    """
    from harness.cli.sweep import run_sweep

    return run_sweep(
        scenario,
        overrides,
        kind,
        every,
        first,
        until,
        options.output_path(output, "sweep"),
        resume=resume,
        jobs=jobs,
        store=options.store_path(store),
        time_factor=time_factor,
        json=json,
    )


@app.command(
    "power-cuts",
    epilog=examples(
        "zharness faults power-cuts quick",
        "zharness faults power-cuts quick --disk-layout ext4 --points 500 --output cuts",
        "zharness faults power-cuts quick --points 20 --zgetdump  # it must see it, too",
    ),
)
@overriding("crashed", "dump")
def power_cuts(
    scenario: options.Scenario = "quick",
    *,
    overrides: Overrides,
    points: Points = 200,
    zgetdump: AskZgetdump = False,
    output: options.Output = None,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Cut the power at many moments of one dump: no disk may look whole and be wrong.

    The dump is written once, and all its writes are recorded. From the record come the states of
    the disk after a cut. What was not flushed is lost, in half of them; in the others some of it
    was stored. The evidence of a cut is kept only if it fails. Exit code 1: one has failed.
    """
    from harness.images.store import Store
    from harness.judges.zgetdump import Zgetdump
    from harness.lab.power_cuts import cut_the_power
    from harness.report.verdict import Result
    from harness.run.plan import plan_of
    from harness.scenario.load import load

    plan = plan_of(scenario, load(scenario, overrides), time_factor=time_factor)
    progress = progress_for(json=json, verbose=verbose)
    directory = options.output_path(output, "power-cuts")
    opened = Store(options.store_path(store), progress)
    judge = Zgetdump(opened, progress, time_factor=time_factor) if zgetdump else None
    if judge is not None:
        judge.prepare()
    verdict, cuts = cut_the_power(plan, points, directory, opened, progress, judge)
    if cuts is None:
        return show(verdict, json)
    if json:
        say_json(cuts.to_json())
    else:
        flushes = ", ".join(map(str, cuts.flushes))
        say(f"{cuts.writes} writes, flushes behind {flushes}")
        say(f"{len(cuts.cuts)} cuts: {cuts.whole} left a whole dump, {len(cuts.failed)} failed")
        for cut in cuts.failed:
            say(f"{cut.result.value} after write {cut.write}, seed {cut.seed}: {cut.why}")
            say(f"  evidence: {cut.evidence}")
    return int(Result.FAIL.exit_code if cuts.failed else Result.PASS.exit_code)
