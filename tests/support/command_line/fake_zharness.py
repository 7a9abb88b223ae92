"""``zharness`` with a fake engine, whose phases end on request: run as a script.

With HANG_IN a phase never ends; with FAIL_IN it fails; with NEXT, a FIFO, each waits for a byte.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from harness import cli
from harness.errors import HostError
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.batch import capacity, local_run
from harness.run.phases import PHASES
from harness.verify.findings import AllowedDifference, CheckResult
from tests.support import FAKE_WORKER

LONG = 600  # seconds; the tests do not wait for it
LONG_REASON = " ".join(f"reason-{number}" for number in range(40))


def run(plan, *, output, store, progress, **_options):
    output.mkdir(parents=True)
    disk = output / "disk.img"
    try:
        disk.touch()
        for phase, limit in PHASES.items():
            with progress.task(limit.what):
                if phase == "collect":
                    with progress.task("copy it out of the disk image", 100, "B") as task:
                        task.update(40, "[bold]no markup[/bold]")
                if phase == os.environ.get("FAIL_IN"):
                    raise HostError("no space", hint="make some")
                if phase == os.environ.get("HANG_IN"):
                    time.sleep(LONG)
                if "NEXT" in os.environ:
                    Path(os.environ["NEXT"]).read_bytes()
    finally:
        disk.unlink()
    allowed = (AllowedDifference("page 0x1000", LONG_REASON),)
    pages = CheckResult("pages", 5, "pages", allowed=allowed)
    return Verdict(Result.PASS, output, checks=(pages,), timings={"dump": 3.0})


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    patch.setattr(engine, "run", run)
    patch.setattr(capacity, "require_room", lambda *_, **__: None)
    fake = [sys.executable, str(FAKE_WORKER)]
    patch.setattr(local_run, "worker_command", lambda: fake)
    cli.main()
