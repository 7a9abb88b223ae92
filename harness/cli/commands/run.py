"""run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.one_run import run_plan, show
from harness.cli.options import examples
from harness.cli.overrides import Overrides, overriding, with_assigned
from harness.cli.say import say, say_json

MAX_RUNS = 10_000  # of one batch
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Set any field: section.field=value."),
]
List = Annotated[bool, typer.Option("--list", help="Show what would run, and run nothing.")]
FailedFrom = Annotated[
    Path | None,
    options.path_option(
        "--failed-from", metavar="REPORT", help="Run what did not pass in this report.json."
    ),
]
EXAMPLES = examples(
    "zharness run panic  # the main job",
    "zharness run panic --disk-layout ext4 --hsa-size 32M",
    "zharness run panic --dump-kernel bzImage -v  # validate your own dump kernel",
    "zharness run panic --judges  # does the real zgetdump agree?",
    "zharness run panic --json --output evidence > verdict.json",
    "zharness run 'lkdtm*' mine.toml  # by name and by path",
    "zharness run 'scenarios/**' -j auto --junit junit.xml  # all of them",
    "zharness run panic --repeat 20 -x  # until it fails",
    "zharness run debian --trigger halt --set crashed.cpu_model=max,vx=off",
    "zharness run 'contexts*' --list  # what would run",
    "zharness run --failed-from DIR/report.json  # what did not pass there",
    "zharness run quick --fault sdias-no-data:request=100  # what goes wrong on purpose",
    "zharness run quick --hold fail --output DIR  # then, elsewhere: zharness attach DIR",
    "zharness run 'scenarios/**' --output DIR --resume  # continue an interrupted batch",
    "zharness run 'scenarios/**' --cluster DIR/cluster.json  # on several hosts",
)


@overriding("crashed", "dump", "faults")
def run(
    scenarios: options.Scenarios = None,
    *,
    overrides: Overrides,
    set_: Set = None,
    list_: List = False,
    failed_from: FailedFrom = None,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    repeat: options.Repeat = 1,
    fresh: options.Fresh = False,
    fail_fast: options.FailFast = False,
    resume: options.Resume = False,
    junit: options.Junit = None,
    output: options.Output = None,
    keep: options.Keep = False,
    judges: options.Judges = False,
    hold: options.Hold = None,
    memory_on_disk: options.MemoryOnDisk = False,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    r"""Crash a system, IPL the dump system, and verify the dump bit for bit.

    Several scenarios, a matrix, or any scenario with -j run in parallel.

    'zharness scenario list' shows the names of scenarios: panic, contexts (all of its matrix),
    contexts\[trigger=oops]. A pattern with * and ? matches such names: 'lkdtm*', '*\[smp=8]'. A
    word with a slash, or with .toml at its end, means paths: mine.toml, mine/, 'mine/**'.
    """
    from harness.cli.batch import run as batch
    from harness.cli.batch.rerun import not_passed
    from harness.cli.show.verdict import table
    from harness.errors import UsageError
    from harness.report import junit as junit_xml
    from harness.run.options import RunOptions
    from harness.run.plan import plan_of
    from harness.scenario.select import select

    overrides = with_assigned(overrides, set_ or ())
    words = [*(scenarios or ()), *(not_passed(failed_from) if failed_from else ())]
    if failed_from is not None and not words:
        say(f"{failed_from}: everything passed")
        return 0
    found = select(words or ["panic"], overrides)
    if list_:
        rows = [(each.name, each.scenario.description) for each in found]
        if json:
            say_json([{"name": name, "description": what} for name, what in rows])
        else:
            table(("name", "description"), rows)
        return 0
    chosen = batch.Chosen(
        overrides,
        options.store_path(store),
        RunOptions(keep=keep, fresh=fresh or repeat > 1, judges=judges, hold=hold),
        time_factor=time_factor,
        consoles=verbose,
        json=json,
        memory_on_disk=memory_on_disk,
    )
    if len(found) * repeat > MAX_RUNS:
        raise UsageError(
            f"{len(found)} scenarios times {repeat} are more than the {MAX_RUNS} runs allowed",
            hint="choose a smaller --repeat",
        )
    if junit is not None:
        junit_xml.check_writable(junit)
    if resume and output is None:
        raise UsageError("--resume needs the batch's directory", hint="name it with --output DIR")
    many = len(found) * repeat > 1 or jobs is not None or resume or cluster is not None
    if many:
        _require_one_run({"--hold": hold is not None, "--memory-on-disk": memory_on_disk})
        return batch.run_many(
            found,
            chosen,
            output=output,
            jobs=jobs,
            repeat=repeat,
            fail_fast=fail_fast,
            junit=junit,
            resume=resume,
            cluster=cluster,
        )
    plan = plan_of(found[0].name, found[0].scenario, time_factor=time_factor)
    verdict = run_plan(plan, chosen, output)
    try:
        return show(verdict, json)
    finally:  # print the verdict even if the JUnit file cannot be written, and vice versa
        if junit is not None:
            junit_xml.write(batch.report_of_one(found[0], verdict, chosen), junit)


def _require_one_run(for_one_run: Mapping[str, bool]) -> None:
    """Raises UsageError, for many runs, if an option was given that is for one run alone."""
    from harness.errors import UsageError

    for option, given in for_one_run.items():
        if given:
            raise UsageError(
                f"{option} is for one run",
                hint="name one scenario, without --jobs, --repeat, --resume and --cluster",
            )
