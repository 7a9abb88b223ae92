"""One stored crash, dumped in several formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.images.store import Store
from harness.progress import NoProgress
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.plan import Plan, plan_of_crash
from harness.scenario.load import load

PAGES = (256 << 20) // 4096
CPUS = 2  # so that their areas for vector registers share a page
DUMPS = {
    "elf": ("partition", "elf"),
    "elf on ext4": ("ext4", "elf"),
    "s390 on ext4": ("ext4", "s390"),
    "s390_ext on ext4": ("ext4", "s390_ext"),
}
QUIET = NoProgress()


def dumps_of_a_crash(store: Store, home: Path) -> Callable[[str], Verdict]:
    """Write one of ``DUMPS`` at the first use, all from one crash; the first with ``--judges``."""
    verdicts = dict[str, Verdict]()
    plan = Plan("quick", load("quick", {"crashed": {"smp": CPUS}}))
    crash = engine.create_snapshot(plan, store=store, progress=QUIET)

    def dumped(name: str) -> Verdict:
        if name not in verdicts:
            layout, form = DUMPS[name]
            verdicts[name] = engine.dump_snapshot(
                crash,
                plan_of_crash(crash, {"layout": layout, "format": form, "hsa_size": 32 << 20}),
                output=home / name,
                store=store,
                progress=QUIET,
                judges=layout == "partition",
            )
            assert verdicts[name].result is Result.PASS, verdicts[name].to_json()
        return verdicts[name]

    return dumped


def file_of(verdict: Verdict) -> Path:
    return verdict.directory / "dump/dump"
