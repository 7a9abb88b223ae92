"""run, dump, verify."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.progress import progress_for

RUN_EXAMPLES = examples(
    "zharness run panic  # the main job",
    "zharness run panic --disk-layout ext4 --hsa-size 32M",
    "zharness run panic --dump-kernel bzImage -v  # validate your own dump kernel",
    "zharness run panic --json --output evidence > verdict.json",
)
DUMP_EXAMPLES = examples(
    "zharness dump sysrq-c --hsa-size 128M  # dump a stored crash again",
    "zharness dump evidence/crash/ --dump-kernel bzImage  # the crash of an earlier run",
)
VERIFY_EXAMPLES = examples("zharness verify evidence  # judge again, offline")


def run(
    scenario: options.Scenario = "panic",
    memory: options.Memory = None,
    smp: options.Cpus = None,
    hsa_size: options.HsaSize = None,
    disk_layout: options.Layout = None,
    disk_size: options.DiskSize = None,
    kernel: options.KernelImage = None,
    vmlinux: options.Vmlinux = None,
    dump_kernel: options.DumpKernel = None,
    dump_parmline: options.DumpParmline = None,
    output: options.Output = None,
    keep: options.Keep = False,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Crash a system, IPL the dump system over it, and judge the dump bit for bit."""
    from harness.build.store import Store
    from harness.run import engine
    from harness.scenario.load import load, plan_of

    crashed = {"memory": memory, "smp": smp, "kernel": kernel, "vmlinux": vmlinux}
    dump = {
        "hsa_size": hsa_size,
        "layout": disk_layout,
        "disk_size": disk_size,
        "kernel": dump_kernel,
        "parmline": dump_parmline,
    }
    loaded = load(scenario, {"crashed": crashed, "dump": dump})
    plan = plan_of(scenario, loaded, time_factor=time_factor)
    progress = progress_for(json=json, verbose=verbose)
    verdict = engine.run(
        plan,
        output=options.output_path(output, plan.name),
        store=Store(options.store_path(store), progress),
        progress=progress,
        keep=keep,
        on_line=echo if verbose else None,
    )
    return _show(verdict, json)


def dump(
    snapshot: options.SnapshotName,
    hsa_size: options.HsaSize = None,
    disk_layout: options.Layout = None,
    disk_size: options.DiskSize = None,
    dump_kernel: options.DumpKernel = None,
    dump_parmline: options.DumpParmline = None,
    output: options.Output = None,
    keep: options.Keep = False,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Dump a stored crash once more, and judge the dump."""
    from harness.build.store import Store
    from harness.machine.snapshots import Snapshots
    from harness.run import engine
    from harness.scenario.load import plan_of_crash

    path = options.store_path(store)
    crash = Snapshots.in_store(path).get(snapshot)
    plan = plan_of_crash(
        crash,
        {
            "hsa_size": hsa_size,
            "layout": disk_layout,
            "disk_size": disk_size,
            "kernel": dump_kernel,
            "parmline": dump_parmline,
        },
        time_factor=time_factor,
    )
    progress = progress_for(json=json, verbose=verbose)
    verdict = engine.dump_snapshot(
        crash,
        plan,
        output=options.output_path(output, "dump"),
        store=Store(path, progress),
        progress=progress,
        keep=keep,
        on_line=echo if verbose else None,
    )
    return _show(verdict, json)


def verify(
    evidence: Annotated[Path, typer.Argument(help="Evidence directory of an earlier run.")],
    json: options.Json = False,
) -> int:
    """Judge the evidence of an earlier run again, offline."""
    from harness.run import engine

    return _show(engine.verify(evidence, progress=progress_for(json=json, verbose=False)), json)


def echo(machine: str, line: str) -> None:
    print(f"{machine:5} | {line}", file=sys.stderr, flush=True)


def _show(verdict: Any, json: bool) -> int:
    from harness.cli.show import show_verdict

    if json:
        document = {**verdict.to_json(), "directory": str(verdict.directory)}
        print(jsonlib.dumps(document, indent=1, default=str))
    else:
        show_verdict(verdict)
    return int(verdict.exit_code)
