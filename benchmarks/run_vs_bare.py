"""The cost of the harness, compared with a bare run of the same work.

    python benchmarks/run_vs_bare.py [--runs 5] [--memory 512M]

A *bare run* is the same work without the harness, on the same played machine: QEMU up to the panic,
plus a dump kernel that copies /proc/vmcore to the same disk with ``dd bs=1M``. A *run* is
``zharness run panic`` with images that are already built, verdict included. Both run in turn, so
that changes of the host's speed affect both; quote the ratios.

The throughput of the dump tool is compared in the same way, from kernel entry to the dump system's
end, with Python and with dd. Both times include the kernel's own start.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.dump_tools.tool import DumpTool
from harness.evidence.journal import Journal
from harness.evidence.outcome import Outcome
from harness.files import sparse
from harness.host.paths import default_store
from harness.images.disk import DISK, DiskSpec, dump_disk, size_for
from harness.images.provide import Images
from harness.images.store import Store
from harness.machine.dump_load.dumper import Dumper
from harness.machine.system.boot import Booter
from harness.machine.system.crash import crash
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.disk import Disk
from harness.report.verdict import Result
from harness.run import engine
from harness.run.inputs.crash import CrashInputs
from harness.run.phases import Phases
from harness.run.plan import Plan, plan_of
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.load import load
from harness.scenario.sizes import parse_size

DD = DumpTool(
    name="dd",
    lists=(str(Path(__file__).with_name("dd.list")),),
    formats={"elf": ""},
    success=re.compile("^dd result: .*ok$"),
    failure=re.compile("^dd result: "),
)


@dataclass(frozen=True)
class Sample:
    """Seconds of the whole run, and of the dump phase alone."""

    total: float
    dump: float


class Bench:
    """One plan, run by the harness and as a bare run."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._store = Store(default_store(), NoProgress())
        self._images = Images(self._store, NoProgress())

    def by_harness(self, directory: Path) -> Sample:
        start = time.monotonic()
        verdict = engine.run(
            self._plan, output=directory, store=self._store, progress=NoProgress(), fresh=True
        )
        total = time.monotonic() - start
        if verdict.result is not Result.PASS:
            raise SystemExit(f"not a PASS: {verdict.to_json()}")
        return Sample(total, verdict.timings["dump"])

    def bare(self, directory: Path) -> Sample:
        """Crash and dump, each only as far as it must go; nothing is collected or verified."""
        disk = self._dd_disk()
        directory.mkdir()
        with Journal(directory / "journal.jsonl") as journal:
            scenario = self._plan.scenario
            memory = scenario.crashed.memory
            phases = Phases(journal, NoProgress(), memory=memory, time_factor=1.0)
            inputs = CrashInputs.prepare(self._images, self._plan)
            system, kernel = inputs.bootable(self._plan), inputs.kernel.identity()
            start = time.monotonic()
            booter = Booter(find_qemu(), phases)
            snapshot = crash(booter, system, self._plan.crash, directory / "crash", kernel)
            sparse.copy(disk, directory / "disk.img")
            outcome = Dumper(find_qemu(), phases, phases.stall_seconds, None, DD).dump(
                snapshot,
                Disk.for_dump(directory / "disk.img"),
                DiskLayout.PARTITION,
                scenario.dump.hsa_size,
                directory / "dump",
            )
            total = time.monotonic() - start
        if outcome.outcome is not Outcome.FINISHED:
            raise SystemExit(f"dd did not finish: {outcome}")
        return Sample(total - phases.timings["snapshot"], phases.timings["dump"])

    def _dd_disk(self) -> Path:
        ramdisk = self._images.dump_initramfs(DiskLayout.PARTITION, tool=DD)
        kernel = self._images.dump_kernel()
        size = size_for(DiskLayout.PARTITION, self._plan.scenario.crashed.memory)
        spec = DiskSpec(DiskLayout.PARTITION, size, kernel, ramdisk, "")
        return dump_disk(self._store, NoProgress(), spec, lambda: kernel).path / DISK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--memory", type=parse_size, default=parse_size("512M"))
    options = parser.parse_args()
    plan = plan_of("panic", load("panic", {"crashed": {"memory": options.memory}}))
    bench = Bench(plan)
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as scratch:
        bench.bare(Path(scratch, "warm-bare"))
        bench.by_harness(Path(scratch, "warm"))
        for number in range(options.runs):
            ours.append(bench.by_harness(Path(scratch, f"run-{number}")))
            bare.append(bench.bare(Path(scratch, f"bare-{number}")))
    totals = [a.total / b.total for a, b in zip(ours, bare, strict=True)]
    speeds = [b.dump / a.dump for a, b in zip(ours, bare, strict=True)]
    print(f"zharness run panic: {_seconds([sample.total for sample in ours])}")
    print(f"bare run:           {_seconds([sample.total for sample in bare])}")
    print(f"ratio run/bare:     {_spread(totals)}")
    print(f"throughput of the Python tool over dd: {_spread(speeds)}")


def _seconds(values: list[float]) -> str:
    return f"{_spread(values)} s"


def _spread(values: list[float]) -> str:
    return f"median {statistics.median(values):.2f} (min {min(values):.2f}, max {max(values):.2f})"


if __name__ == "__main__":
    main()
