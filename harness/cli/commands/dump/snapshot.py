"""dump SNAPSHOT."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from harness.cli import options
from harness.cli.one_run import echo, show
from harness.cli.options import examples
from harness.cli.overrides import Overrides, overriding
from harness.cli.show.progress import progress_for

EXAMPLES = examples(
    "zharness dump sysrq-c-2cpu-512M --hsa-size 128M  # dump a stored crash again",
    "zharness dump evidence/crash/ --dump-kernel bzImage  # the crash of an earlier run",
)


@overriding("dump")
def dump(
    snapshot: options.SnapshotName,
    *,
    overrides: Overrides,
    output: options.Output = None,
    keep: options.Keep = False,
    judges: options.Judges = False,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Dump a stored crash again, and verify the dump."""
    from harness.errors import UsageError
    from harness.evidence.pack.use import restored
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
    with ExitStack() as stack:
        if os.sep in snapshot:  # of a run, which may be packed
            stack.enter_context(restored(Path(snapshot).absolute().parent, progress))
        crash = Snapshots(images).get(snapshot)
        plan = plan_of_crash(crash, overrides["dump"], time_factor=time_factor)
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
