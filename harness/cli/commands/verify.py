"""verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from harness.cli import options
from harness.cli.one_run import show
from harness.cli.options import examples
from harness.cli.show.progress import progress_for

EXAMPLES = examples(
    "zharness verify evidence  # again, offline",
    "zharness verify evidence --judges  # also ask the genuine zgetdump and crash",
    "zharness verify evidence --vmlinux vmlinux  # if the recorded vmlinux is elsewhere now",
)


def verify(
    evidence: Annotated[
        Path, options.evidence_argument(help="Evidence directory of an earlier run.")
    ],
    vmlinux: options.CrashedVmlinux = None,
    judges: options.Judges = False,
    store: options.StorePath = None,
    json: options.Json = False,
) -> int:
    """Verify the evidence of an earlier run again, offline."""
    from harness.images.store import Store
    from harness.judges.run_dump import Judges
    from harness.run import engine

    progress = progress_for(json=json, verbose=False)
    asked = Judges.of(Store(options.store_path(store), progress), progress) if judges else None
    verdict = engine.verify(evidence, progress=progress, vmlinux=vmlinux, judges=asked)
    return show(verdict, json)
