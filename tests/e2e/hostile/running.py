"""Run hostile dump kernels, two at a time, and check what must be true of each run."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hostile import assemble
from tests.support.command_line.zharness import Zharness, command

AT_ONCE = 2
TIME_FACTOR = 0.1  # the smallest that is allowed
PHASE_SECONDS = 18.0  # time limit of the dump phase with this factor and 256 MiB of memory
# a large limit, because the host may be busy, and QEMU may take seconds to end
MOST_SECONDS = 5 * PHASE_SECONDS
# for the larger one of QEMU and the harness: both map the guest's 256 MiB, and the harness also
# maps the crashed system's memory
MOST_MEMORY = 800 << 20


@dataclass(frozen=True)
class Hostility:
    """The result of the run with one kernel."""

    code: int
    verdict: Mapping[str, Any]
    outcome: Mapping[str, Any]
    directory: Path
    seconds: float
    memory: int

    def must_be_a_failed_dump(self, *how: str) -> None:
        """Check that the run failed because of the dump, and within the limits."""
        assert self.code == 1, self.verdict["error"]
        assert (self.verdict["verdict"], self.verdict["phase"]) == ("FAIL", "dump")
        assert self.outcome["outcome"] in how, self.outcome
        assert self.seconds < MOST_SECONDS
        assert self.memory < MOST_MEMORY
        assert self.verdict["timings"]["dump"] < 2 * PHASE_SECONDS
        journal = [json.loads(line) for line in (self.directory / "journal.jsonl").open()]
        assert [entry for entry in journal if entry["event"] == "internal error"] == []
        assert len(journal) < 4000
        for file in ("journal.jsonl", "dump/console.log", "verdict.json", "dump/outcome.json"):
            assert (self.directory / file).stat().st_size < 12 << 20, file


def stored_crash(zharness: Zharness, *options: object) -> str:
    """Store a crash of the smallest machine; returns its name."""
    created = zharness("snapshot", "create", "quick", *options)
    assert created.code == 0, created.err
    return str(created.out.split()[0])


def asked(request: pytest.FixtureRequest, kernels: Iterable[str]) -> list[str]:
    """Those of ``kernels`` that the selected tests need."""
    chosen = {
        item.callspec.params.get("kernel")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    return [kernel for kernel in kernels if kernel in chosen]


def run_all(names: Iterable[str], snapshot: str, scratch: Path) -> dict[str, Hostility]:
    """Dump ``snapshot`` with each of the kernels."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {name: pool.submit(_run, name, snapshot, scratch) for name in names}
    return {name: run.result() for name, run in runs.items()}


def _run(name: str, snapshot: str, scratch: Path) -> Hostility:
    output = scratch / name
    image = assemble(name, scratch)
    options = ("--dump-kernel", image, "--time-factor", TIME_FACTOR, "--output", output, "--json")
    started = time.monotonic()
    with subprocess.Popen(
        command("dump", snapshot, *options), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    outcome = output / "dump/outcome.json"
    return Hostility(
        code=process.returncode,
        verdict=json.loads(said),
        outcome=json.loads(outcome.read_text()) if outcome.exists() else {},
        directory=output,
        seconds=time.monotonic() - started,
        memory=used.ru_maxrss << 10,
    )
