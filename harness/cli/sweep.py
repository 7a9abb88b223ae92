"""A sweep of faults on the command line: the run without one, the batch, the smallest place."""

from __future__ import annotations

from pathlib import Path

from harness.cli.batch.run import Chosen, run_many
from harness.cli.one_run import show
from harness.cli.overrides import Overrides
from harness.cli.say import say, say_json
from harness.cli.show.progress import progress_for
from harness.errors import ExitCode, UsageError
from harness.evidence.directory import RunDirectory
from harness.faults.table import FAULTS
from harness.files.plain_file import is_there
from harness.images.store import Store
from harness.lab.sweep import FILE, At, Sweep, last_place, results
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.options import RunOptions
from harness.run.plan import plan_of
from harness.scenario.load import load_all
from harness.scenario.select import select, word_for

WHOLE, RUNS = "whole", "runs"


def run_sweep(
    scenario: str,
    overrides: Overrides,
    kind: str,
    every: int,
    first: int | None,
    until: int | None,
    output: Path,
    *,
    resume: bool,
    jobs: int | None,
    store: Path,
    time_factor: float,
    json: bool,
) -> int:
    """Do a sweep in ``output``; returns the exit code. Raises UsageError and HostError."""
    if kind not in FAULTS:
        raise UsageError(f"there is no fault '{kind}'", hint="zharness faults list shows all")
    found = load_all(scenario, overrides)
    if len(found) != 1:
        raise UsageError(f"'{scenario}' is a matrix", hint=f"pick one: '{found[0].name}'")
    (base,) = found
    progress = progress_for(json=json, verbose=False)
    whole = RunDirectory(output / WHOLE)
    if not (resume and is_there(whole.verdict)):
        verdict = engine.run(
            plan_of(base.name, base.scenario, time_factor=time_factor),
            output=whole.root,
            store=Store(store, progress),
            progress=progress,
            keep=True,
        )
        if verdict.result is not Result.PASS:
            return show(verdict, json)
    place = FAULTS[kind].when[0] if FAULTS[kind].when else None
    last = until if until is not None or place is None else last_place(place, whole)
    plan = Sweep.of(FAULTS[kind], first, every, last or 0)
    file = output / FILE
    file.write_text(plan.scenario(word_for(base)), encoding="utf-8")
    chosen = Chosen(overrides, store, RunOptions(), time_factor, json=json)
    concretes = select([str(file)], overrides)
    run_many(
        concretes,
        chosen,
        output=output / RUNS,
        jobs=jobs,
        repeat=1,
        fail_fast=False,
        junit=None,
        resume=resume,
        show=False,
    )
    names = {place: each.name for place, each in zip(plan.places, concretes, strict=True)}
    at = results(output / RUNS, names)
    smallest = _smallest(plan, at, chosen, file, output)
    return _tell(plan, at, smallest, json=json)


def _smallest(
    plan: Sweep, at: dict[int, At], chosen: Chosen, file: Path, output: Path
) -> int | None:
    """The smallest place that fails, looked for below the first one that did."""
    failed = next((place for place, what in at.items() if what is At.FAIL), None)
    if failed is None:
        return None

    def passes(place: int) -> bool:
        return _run_at(plan, place, chosen, file, output).result is not Result.FAIL

    return plan.smallest(failed, passes)


def _run_at(plan: Sweep, place: int, chosen: Chosen, file: Path, output: Path) -> Verdict:
    overrides = {**chosen.overrides, "faults": {"inject": [plan.fault(place)]}}
    (found,) = load_all(str(file), overrides)
    progress = progress_for(json=chosen.json, verbose=False)
    return engine.run(
        plan_of(found.name, found.scenario, time_factor=chosen.time_factor),
        output=output / f"at-{place}",
        store=Store(chosen.store, progress),
        progress=progress,
    )


def _tell(plan: Sweep, at: dict[int, At], smallest: int | None, *, json: bool) -> int:
    counts = {what: sum(each is what for each in at.values()) for what in At}
    if json:
        say_json(
            {
                "kind": plan.kind.name,
                "place": plan.place,
                "found": {str(place): what for place, what in at.items()},
                "smallest failing place": smallest,
            }
        )
    else:
        said = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
        say(f"{plan.kind.name} at {len(at)} places ({plan.place}): {said}")
        for place in (place for place, what in at.items() if what in (At.FAIL, At.ERROR)):
            say(f"  {at[place]}: {plan.fault(place)}")
        if smallest is not None:
            say(f"the smallest place that fails: {plan.fault(smallest)}")
    if counts[At.ERROR] or counts[At.NOT_RUN]:
        return int(ExitCode.ERROR)
    return int(ExitCode.FAIL if counts[At.FAIL] else ExitCode.PASS)
