"""One crash in every format on every disk layout: size and speed, and whether all are equal.

    python benchmarks/formats.py [--memory 256M] [--smp 4] [--judges] [--suite sid]

The dump tool writes each format on each layout, and each format is converted into each other one.
Every dump is verified against the crash and compared with every other dump. Seconds are the time
from the dump kernel's entry to its end, with its own start, or the time of the conversion; MB/s are
for memory. With ``--judges`` the real zgetdump also checks each dump, and the disks with a
partition; with ``--suite`` it comes from another Debian suite.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import NamedTuple

from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.dump.formats.table import writers
from harness.host.paths import default_store
from harness.images.store import Store
from harness.inspect.compare import compare
from harness.judges import agreement
from harness.judges.zgetdump import Zgetdump
from harness.progress import NoProgress
from harness.report.verdict import Result
from harness.run import engine
from harness.run.plan import Plan, plan_of, plan_of_crash
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.expect import DumpFormat
from harness.scenario.load import load
from harness.scenario.sizes import format_size, parse_size

QUIET = NoProgress()


class Written(NamedTuple):
    """One dump: its file, the time to write it, and zgetdump's opinion."""

    what: str
    path: Path
    seconds: float
    said: str

    def row(self, memory: int) -> str:
        status = self.path.stat()
        apparent, allocated = status.st_size / 1e6, status.st_blocks * 512 / 1e6
        speed = memory / self.seconds / 1e6
        return (
            f"| {self.what} | {apparent:.1f} | {allocated:.1f} | {self.seconds:.1f} | {speed:.0f} "
            f"| {self.said} |"
        )


def dumped(plan: Plan, store: Store, home: Path, zgetdump: Zgetdump | None) -> Iterator[Written]:
    """Dumps of the dump tool, in each format on each layout; exits if one is not right."""
    snapshot = engine.create_snapshot(plan, store=store, progress=QUIET)
    hsa_size = plan.scenario.dump.hsa_size
    for layout in DiskLayout:
        for form in DumpFormat:
            wanted = {"layout": layout, "format": form, "hsa_size": hsa_size}
            verdict = engine.dump_snapshot(
                snapshot,
                plan_of_crash(snapshot, wanted),
                output=home / f"{layout}-{form}",
                store=store,
                progress=QUIET,
                keep=zgetdump is not None,
            )
            if verdict.result is not Result.PASS:
                raise SystemExit(json.dumps(verdict.to_json(), indent=1))
            path, disk = verdict.directory / "dump/dump", verdict.directory / "disk.img"
            files = (path, disk) if layout is DiskLayout.PARTITION else (path,)
            said = "" if zgetdump is None else opinion_of(files, zgetdump)
            disk.unlink(missing_ok=True)
            yield Written(f"{form} on {layout}", path, verdict.timings["dump"], said)


def converted(home: Path, zgetdump: Zgetdump | None) -> Iterator[Written]:
    """Convert each format into each other one, from the dumps on partitions."""
    for source, form in permutations(writers(), 2):
        target = home / f"{source}-to-{form}"
        with open_dump(home / f"partition-{source}/dump/dump") as dump:
            start = time.monotonic()
            convert(dump, target, form, QUIET)
            seconds = time.monotonic() - start
        said = "" if zgetdump is None else opinion_of([target], zgetdump)
        yield Written(f"{source} converted to {form}", target, seconds, said)


def opinion_of(files: Sequence[Path], zgetdump: Zgetdump) -> str:
    """One word: whether zgetdump agrees about all ``files``."""
    said: list[str] = []
    for path in files:
        with open_dump(path) as dump:
            if why := zgetdump.unknown(dump):
                return why
            with zgetdump.judging(path, dump) as opinion:
                result = agreement.check(dump, opinion, QUIET)
        said += [item.message for item in result.findings]
    return "; ".join(said) or "agrees"


def differences(dumps: Sequence[Written]) -> Iterator[str]:
    for one, other in combinations(dumps, 2):
        with open_dump(one.path) as first, open_dump(other.path) as second:
            for result in compare(first, second, QUIET):
                for finding in result.findings:
                    yield f"{one.what}, {other.what}: {result.check}: {finding.message}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", type=parse_size, default="256M")
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--judges", action="store_true")
    parser.add_argument("--suite", help="Debian suite from which zgetdump comes")
    options = parser.parse_args()
    crashed = {"memory": options.memory, "smp": options.smp}
    plan = plan_of("quick", load("quick", {"crashed": crashed}))
    store = Store(default_store(), QUIET)
    print(f"{format_size(options.memory)}, {options.smp} CPUs\n")
    print("| dump | size, MB | allocated, MB | seconds | MB/s | zgetdump |")
    print("|---|---|---|---|---|---|", flush=True)
    dumps = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        zgetdump = Zgetdump(store, QUIET, suite=options.suite) if options.judges else None
        for source in (dumped(plan, store, home, zgetdump), converted(home, zgetdump)):
            for dump in source:
                dumps.append(dump)
                print(dump.row(options.memory), flush=True)
        different = list(differences(dumps))
    print(*different, sep="\n")
    if different:
        raise SystemExit("not all are equal")
    pairs = len(dumps) * (len(dumps) - 1) // 2
    print(f"{len(dumps)} dumps of one crash, equal in each of {pairs} pairs")


if __name__ == "__main__":
    main()
