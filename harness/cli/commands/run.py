"""run, dump, verify."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say_json, tell
from harness.cli.show.progress import progress_for

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.cli.batch.run import Chosen
    from harness.report.verdict import Verdict
    from harness.run.plan import Plan

MAX_RUNS = 10_000  # of one batch
RUN_EXAMPLES = examples(
    "zharness run panic  # the main job",
    "zharness run panic --disk-layout ext4 --hsa-size 32M",
    "zharness run panic --dump-kernel bzImage -v  # validate your own dump kernel",
    "zharness run panic --judges  # does the real zgetdump agree?",
    "zharness run panic --json --output evidence > verdict.json",
    "zharness run 'lkdtm*' mine.toml  # by name and by path",
    "zharness run 'scenarios/**' -j auto --junit junit.xml  # all of them",
    "zharness run panic --repeat 20 -x  # until it fails",
    "zharness run 'scenarios/**' --output DIR --resume  # continue an interrupted batch",
)
DUMP_EXAMPLES = examples(
    "zharness dump sysrq-c-2cpu-512M --hsa-size 128M  # dump a stored crash again",
    "zharness dump evidence/crash/ --dump-kernel bzImage  # the crash of an earlier run",
)
VERIFY_EXAMPLES = examples(
    "zharness verify evidence  # judge again, offline",
    "zharness verify evidence --judges  # also ask the genuine zgetdump",
    "zharness verify evidence --vmlinux vmlinux  # if the recorded vmlinux is elsewhere now",
)


def run(
    scenarios: options.Scenarios = None,
    memory: options.Memory = None,
    smp: options.Cpus = None,
    hsa_size: options.HsaSize = None,
    disk_layout: options.Layout = None,
    dump_format: options.Format = None,
    disk_size: options.DiskSize = None,
    kernel: options.KernelImage = None,
    vmlinux: options.Vmlinux = None,
    dump_kernel: options.DumpKernel = None,
    dump_source: options.DumpSource = None,
    dump_patch: options.DumpPatches = None,
    dump_config: options.DumpConfig = None,
    dump_parmline: options.DumpParmline = None,
    jobs: options.Jobs = None,
    repeat: options.Repeat = 1,
    fresh: options.Fresh = False,
    fail_fast: options.FailFast = False,
    resume: options.Resume = False,
    junit: options.Junit = None,
    output: options.Output = None,
    keep: options.Keep = False,
    judges: options.Judges = False,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    r"""Crash a system, IPL the dump system, and judge the dump bit for bit.

    Several scenarios, a matrix, or any scenario with -j run in parallel.

    'zharness scenario list' shows the names of scenarios: panic, contexts (all of its matrix),
    contexts\[trigger=oops]. A pattern with * and ? matches such names: 'lkdtm*', '*\[smp=8]'. A
    word with a slash, or with .toml at its end, means paths: mine.toml, mine/, 'mine/**'.
    """
    from harness.cli.batch import run as batch
    from harness.errors import UsageError
    from harness.report import junit as junit_xml
    from harness.run.plan import plan_of
    from harness.scenario.select import select

    overrides: dict[str, dict[str, Any]] = {
        "crashed": {"memory": memory, "smp": smp, "kernel": kernel, "vmlinux": vmlinux},
        "dump": {
            "hsa_size": hsa_size,
            "layout": disk_layout,
            "format": dump_format,
            "disk_size": disk_size,
            "kernel": dump_kernel,
            "source": dump_source,
            "patches": dump_patch or None,
            "config": dump_config or None,
            "parmline": dump_parmline,
        },
    }
    found = select(scenarios or ["panic"], overrides)
    chosen = batch.Chosen(
        overrides,
        options.store_path(store),
        keep=keep,
        fresh=fresh or repeat > 1,
        judges=judges,
        time_factor=time_factor,
        verbose=verbose,
        json=json,
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
    if len(found) * repeat > 1 or jobs is not None or resume:
        return batch.run_many(
            found,
            chosen,
            output=output,
            jobs=jobs,
            repeat=repeat,
            fail_fast=fail_fast,
            junit=junit,
            resume=resume,
        )
    plan = plan_of(found[0].name, found[0].scenario, time_factor=time_factor)
    verdict = run_plan(plan, chosen, output)
    try:
        return show(verdict, json)
    finally:  # print the verdict even if the JUnit file cannot be written, and vice versa
        if junit is not None:
            junit_xml.write(batch.report_of_one(found[0], verdict, chosen), junit)


def dump(
    snapshot: options.SnapshotName,
    hsa_size: options.HsaSize = None,
    disk_layout: options.Layout = None,
    dump_format: options.Format = None,
    disk_size: options.DiskSize = None,
    dump_kernel: options.DumpKernel = None,
    dump_source: options.DumpSource = None,
    dump_patch: options.DumpPatches = None,
    dump_config: options.DumpConfig = None,
    dump_parmline: options.DumpParmline = None,
    output: options.Output = None,
    keep: options.Keep = False,
    judges: options.Judges = False,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Dump a stored crash again, and judge the dump."""
    from harness.errors import UsageError
    from harness.images.store import Store
    from harness.machine.snapshots import Snapshots
    from harness.run import engine
    from harness.run.batch.capacity import require_room
    from harness.run.plan import plan_of_crash

    if os.sep in snapshot and Path(snapshot).is_file():
        raise UsageError(
            f"{snapshot} is a file, not a stored crash", hint=f"zharness dump info {snapshot}"
        )
    progress = progress_for(json=json, verbose=verbose)
    images = Store(options.store_path(store), progress)
    crash = Snapshots(images).get(snapshot)
    plan = plan_of_crash(
        crash,
        {
            "hsa_size": hsa_size,
            "layout": disk_layout,
            "format": dump_format,
            "disk_size": disk_size,
            "kernel": dump_kernel,
            "source": dump_source,
            "patches": dump_patch or None,
            "config": dump_config or None,
            "parmline": dump_parmline,
        },
        time_factor=time_factor,
    )
    require_room(crash.name, plan.scenario.crashed)
    verdict = engine.dump_snapshot(
        crash,
        plan,
        output=options.output_path(output, "dump"),
        store=images,
        progress=progress,
        keep=keep,
        judges=judges,
        on_line=echo if verbose else None,
    )
    return show(verdict, json)


def verify(
    evidence: Annotated[Path, options.path_argument(help="Evidence directory of an earlier run.")],
    vmlinux: options.CrashedVmlinux = None,
    judges: options.Judges = False,
    store: options.StorePath = None,
    json: options.Json = False,
) -> int:
    """Judge the evidence of an earlier run again, offline."""
    from harness.images.store import Store
    from harness.judges.zgetdump import Zgetdump
    from harness.run import engine

    progress = progress_for(json=json, verbose=False)
    zgetdump = Zgetdump(Store(options.store_path(store), progress), progress) if judges else None
    verdict = engine.verify(evidence, progress=progress, vmlinux=vmlinux, judges=zgetdump)
    return show(verdict, json)


def run_plan(plan: Plan, chosen: Chosen, output: Path | None) -> Verdict:
    """Do one run, in this process. Raises HostError if its memory does not fit."""
    from harness.images.store import Store
    from harness.run import engine
    from harness.run.batch.capacity import require_room

    require_room(plan.name, plan.scenario.crashed)
    progress = progress_for(json=chosen.json, verbose=chosen.verbose)
    return engine.run(
        plan,
        output=options.output_path(output, plan.name),
        store=Store(chosen.store, progress),
        progress=progress,
        keep=chosen.keep,
        fresh=chosen.fresh,
        judges=chosen.judges,
        on_line=echo if chosen.verbose else None,
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
