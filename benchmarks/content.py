"""The cost of planted content: boot with and without it, planting, and the check in a dump.

    python benchmarks/content.py [--memory 256M,512M,1G,3G] [--boots 5]

Boots with and without content alternate, so that changes of the host's speed affect both; quote the
medians. The dump is QEMU's own. It has all memory and no holes, which is the worst case for the
check.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import cast

from harness.deadline import Deadline
from harness.dump.formats.elf.reader import ElfDump
from harness.host.paths import default_store
from harness.images.initramfs.build import CRASHED, IMAGE, initramfs
from harness.images.provide import Images
from harness.images.store import Store
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.run.plan import CRASH_PARMLINE
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.sizes import format_size, parse_size
from harness.verify.checks import planted_content as content
from harness.verify.evidence import Evidence, RamImage
from harness.verify.findings import CheckResult

PROMPT = "zharness# "
LISTS = {"without": CRASHED, "with": (*CRASHED, "crash/content.list")}
SECONDS = 600
SEED = 2026
HSA = 64 << 20
GIB = 1 << 30


class Bench:
    """The kernel of the crashed system, and both initramfs images."""

    def __init__(self) -> None:
        store = Store(default_store(), NoProgress())
        self._kernel = Images(store, NoProgress()).crashed_kernel().image
        self._ramdisks = {
            what: initramfs(store, NoProgress(), "initramfs-crashed", lists).path / IMAGE
            for what, lists in LISTS.items()
        }

    def spec(self, memory: int, what: str) -> MachineSpec:
        return MachineSpec(
            memory=memory,
            cpus=2,
            kernel=self._kernel,
            initrd=self._ramdisks[what],
            append=CRASH_PARMLINE,
        )

    def boot(self, memory: int, what: str, directory: Path) -> float:
        """Seconds from QEMU's start to the prompt."""
        start = time.monotonic()
        with (
            GuestRam.create(memory) as ram,
            Qemu.start(find_qemu(), self.spec(memory, what), ram, directory, name=what) as qemu,
        ):
            qemu.console.expect_exact(PROMPT, timeout=SECONDS)
            return time.monotonic() - start

    def plant_and_dump(self, memory: int, directory: Path) -> tuple[float, list[str]]:
        """Seconds that planting took, and the guest's output; writes ``dump.elf``."""
        deadline = Deadline(SECONDS)
        with (
            GuestRam.create(memory) as ram,
            Qemu.start(find_qemu(), self.spec(memory, "with"), ram, directory, name="x") as qemu,
        ):
            qemu.console.expect_exact(PROMPT, timeout=deadline.remaining)
            start = time.monotonic()
            qemu.console.sendline(f"plant {SEED}")
            qemu.console.expect_exact(PROMPT, timeout=deadline.remaining)
            seconds = time.monotonic() - start
            said = str(qemu.console.before).replace("\r", "").strip().splitlines()
            qemu.console.sendline("echo c > /proc/sysrq-trigger")
            if qemu.monitor.wait_event(("GUEST_PANICKED",), deadline) is None:
                raise SystemExit("the guest did not panic")
            arguments = {"paging": False, "protocol": f"file:{directory / 'dump.elf'}"}
            qemu.monitor.execute("dump-guest-memory", arguments, deadline=deadline)
        return seconds, said


def check(path: Path) -> tuple[float, CheckResult]:
    """Seconds per GiB of dump, and the result."""
    with ElfDump.open(path) as dump:
        evidence = Evidence(
            ram=cast("RamImage", None),
            cpus=(),
            dump=dump,
            dump_fault=None,
            superblock=None,
            console=(),
            outcome={"hsa_size": HSA},
            layout=DiskLayout.PARTITION,
            content_seed=SEED,
        )
        start = time.monotonic()
        result = content.check(evidence)
        return (time.monotonic() - start) / dump.content.size * GIB, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", default="256M,512M,1G,3G")
    parser.add_argument("--boots", type=int, default=5)
    options = parser.parse_args()
    bench = Bench()
    for memory in map(parse_size, options.memory.split(",")):
        print(f"memory {format_size(memory)}")
        with tempfile.TemporaryDirectory() as scratch:
            boots: dict[str, list[float]] = {what: [] for what in LISTS}
            for _ in range(options.boots):
                for what, seconds in boots.items():
                    seconds.append(bench.boot(memory, what, Path(scratch)))
            for what, seconds in boots.items():
                print(f"  boot {what} content: median {statistics.median(seconds):.2f} s")
            planting, said = bench.plant_and_dump(memory, Path(scratch))
            print(*(f"  | {line}" for line in said), sep="\n")
            print(f"  planting: {planting:.2f} s")
            speed, result = check(Path(scratch, "dump.elf"))
        print(f"  check: {speed:.2f} s per GiB, {result.compared} {result.unit}")
        print(f"  {'PASS' if result.passed else 'FAIL'}")
        print(*(f"  ! {finding.message}" for finding in result.findings), sep="\n")


if __name__ == "__main__":
    main()
