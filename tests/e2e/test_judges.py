"""One crash, dumped in several formats: all dumps are equal, and the real zgetdump and crash agree.

All formats on all layouts, with a table of sizes and speeds: ``benchmarks/formats.py --judges``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.host.paths import default_store
from harness.images.store import Store
from harness.inspect.compare import compare
from harness.judges import agreement
from harness.judges.crash.agreement import SAMPLES
from harness.judges.zgetdump import Zgetdump
from harness.progress import NoProgress
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.plan import Plan, plan_of_crash
from harness.scenario.load import load
from tests.support.dumps.lkcd import END_MARKER, header, page_of

pytestmark = pytest.mark.e2e

QUIET = NoProgress()
PAGES = (256 << 20) // 4096
REGISTERS = 69  # that crash shows of a CPU
CPUS = 2  # so that their areas for vector registers share a page
DUMPS = {
    "elf": ("partition", "elf"),
    "elf on ext4": ("ext4", "elf"),
    "s390 on ext4": ("ext4", "s390"),
    "s390_ext on ext4": ("ext4", "s390_ext"),
}


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(default_store(), QUIET)


@pytest.fixture(scope="module")
def dumped(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Verdict]:
    """Write one of ``DUMPS`` at the first use, all from one crash; the first with ``--judges``."""
    home, verdicts = tmp_path_factory.mktemp("judged"), dict[str, Verdict]()
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


def test_zgetdump_agrees_about_the_dump_and_its_partition(dumped: Callable[[str], Verdict]):
    verdict = dumped("elf")
    (check,) = [check for check in verdict.checks if check.check == "zgetdump"]
    assert check.passed
    assert check.compared > 2 * PAGES
    assert [note.partition(":")[0] for note in check.notes] == ["dump", "disk.img"]
    (check,) = [check for check in verdict.checks if check.check == "libkdumpfile"]
    assert check.passed
    assert check.skipped_reason is None
    assert json.loads((verdict.directory / "verdict.json").read_bytes()) == verdict.to_json()


def test_crash_agrees_about_the_dump(dumped: Callable[[str], Verdict]):
    (check,) = [check for check in dumped("elf").checks if check.check == "crash"]
    assert check.passed
    assert check.skipped_reason is None
    assert check.compared > CPUS * REGISTERS + SAMPLES
    assert [note.partition(" ")[0] for note in check.notes] == ["crash"]


def test_zgetdump_agrees_about_what_the_dump_tool_writes_itself(
    dumped: Callable[[str], Verdict], store: Store
):
    path = file_of(dumped("s390 on ext4"))
    with open_dump(path) as dump, Zgetdump(store, QUIET).judging(path, dump) as opinion:
        result = agreement.check(dump, opinion, QUIET)
        assert set(opinion.converted) == {"elf", "s390"}
    assert [finding.message for finding in result.findings] == []
    assert result.compared > 2 * PAGES


def test_all_dumps_of_a_crash_are_equal(dumped: Callable[[str], Verdict], tmp_path: Path):
    files = {name: file_of(dumped(name)) for name in DUMPS}
    for form in ("elf", "s390", "s390_ext"):
        source = files["s390_ext on ext4" if form == "elf" else "elf"]
        files[f"converted to {form}"] = tmp_path / form
        with open_dump(source) as dump:
            convert(dump, tmp_path / form, form, QUIET)
    files["lkcd"] = lkcd_of(files["s390 on ext4"], tmp_path / "lkcd")
    for one, other in combinations(files, 2):
        with open_dump(files[one]) as first, open_dump(files[other]) as second:
            results = compare(first, second, QUIET)
        differences = [finding.message for result in results for finding in result.findings]
        assert differences == [], f"{one} and {other}"
        assert results[1].compared >= PAGES


def lkcd_of(source: Path, target: Path) -> Path:
    """An LKCD dump of the same crash; registers are in memory, as in a stand-alone dump."""
    with open_dump(source) as dump, target.open("wb") as file:
        file.write(header(cpus=dump.cpus, mem_end=PAGES * 4096))
        for number in range(PAGES):
            file.write(page_of(number, dump.read(number * 4096, 4096)))
        file.write(END_MARKER)
    return target


def test_zgetdump_reports_a_wrong_dump(
    dumped: Callable[[str], Verdict], store: Store, tmp_path: Path
):
    path, damaged = file_of(dumped("elf")), tmp_path / "damaged"
    with path.open("rb") as whole:
        damaged.write_bytes(bytes(4096) + whole.read(1 << 20))
    with open_dump(path) as dump, Zgetdump(store, QUIET).judging(damaged, dump) as opinion:
        result = agreement.check(dump, opinion, QUIET)
    assert not result.passed
    assert opinion.info.status != 0
