"""``--judges``: zgetdump's (invented) opinion about a run's dump is a check of that run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.dump.reader import Dump
from harness.errors import BuildError, HarnessError, HostError
from harness.images.needs import Wanted
from harness.images.store import Store
from harness.judges import run_dump
from harness.judges.crash.guest import Crash
from harness.judges.guest import Said
from harness.judges.run_dump import Judges
from harness.judges.zgetdump import Opinion, Zgetdump
from harness.progress import NoProgress
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from tests.support.disks.dump_partition import disk_with
from tests.support.dumps.zgetdump import INFO, Written
from tests.support.evidence import SyntheticRun, collect_again, flip, stored, vmcore
from tests.support.runs.machines import evidence, journal, machines, options, other, plan, red

__all__ = ["evidence", "machines", "options"]  # fixtures


class FakeZgetdump:
    """A fake zgetdump with given answers; ``trouble`` is raised instead."""

    def __init__(
        self, said: str = INFO, trouble: HarnessError | None = None, *, unfit: bool = False
    ) -> None:
        self.said, self.trouble, self.unfit = said, trouble, unfit
        self.asked: list[str] = []

    wanted = Wanted()

    def prepare(self) -> None:
        if self.unfit:
            raise BuildError("no packages")

    def unknown(self, dump: Dump) -> str | None:
        return Zgetdump(Store(Path("store"), NoProgress()), NoProgress()).unknown(dump)

    @contextmanager
    def judging(self, path: Path, dump: Dump) -> Iterator[Opinion]:
        self.asked.append(path.name)
        if self.trouble is not None:
            raise self.trouble
        results = path.parent / f"results-{path.name}"
        results.mkdir()
        convert(dump, results / "elf", "elf", NoProgress())
        yield Written("2.16", Said(0, self.said), {"elf": Said(0, "Success")}, results)
        shutil.rmtree(results)


class UnaskedCrash:
    """A crash that is ready, and not asked: no vmlinux is recorded."""

    wanted = Wanted()

    def prepare(self) -> None:
        pass

    def unknown(self, path: Path, dump: Dump) -> None:
        return None


def judges_with(zgetdump: FakeZgetdump) -> Judges:
    return Judges(cast("Zgetdump", zgetdump), cast("Crash", UnaskedCrash()))


def zgetdump_of(verdict: Verdict) -> CheckResult:
    (check,) = [check for check in verdict.checks if check.check == "zgetdump"]
    return check


@pytest.fixture
def run(machines, options) -> Callable[[FakeZgetdump], Verdict]:
    def run(zgetdump: FakeZgetdump, **how: Any) -> Verdict:
        machines()
        other(options, judges=lambda store, progress, time_factor: judges_with(zgetdump))
        return engine.run(plan(**how), **options, judges=True)

    return run


def test_agreement_is_a_check_of_the_run(run, evidence):
    zgetdump = FakeZgetdump()
    verdict = run(zgetdump)
    assert verdict.result is Result.PASS, verdict.findings
    assert zgetdump.asked == ["dump", "disk.img"]
    check = zgetdump_of(verdict)
    assert check.passed
    assert check.compared > 2 * 1024
    assert check.notes[0] == "dump: zgetdump 2.16"
    (crash,) = [check for check in verdict.checks if check.check == "crash"]
    assert crash.skipped_reason == "crash needs vmlinux of the crashed kernel, and none is known"
    assert list(verdict.timings)[-2:] == ["verify", "judge"]
    assert json.loads((evidence / "verdict.json").read_bytes()) == verdict.to_json()


def test_without_the_option_no_judge_runs(machines, options):
    machines()
    verdict = engine.run(plan(), **options)
    assert "zgetdump" not in [check.check for check in verdict.checks]


def test_disagreement_fails_the_run(run, evidence):
    verdict = run(FakeZgetdump(INFO.replace(".: 2", ".: 3")))
    assert (verdict.result, verdict.phase) == (Result.FAIL, "verify")
    assert red(verdict) == {"zgetdump"}
    messages = [finding.message for finding in verdict.findings]
    assert messages == [f"{name}: CPUs: zgetdump says '3', we '2'" for name in ("dump", "disk.img")]
    assert engine.verify(evidence, progress=NoProgress()).result is Result.PASS


def test_a_guest_that_does_not_come_up_is_an_error(run, evidence):
    verdict = run(FakeZgetdump(trouble=HostError("the guest that runs zgetdump failed")))
    assert (verdict.result, verdict.phase) == (Result.ERROR, "judge")
    (told,) = [line for line in journal(evidence) if line["event"] == "our own verdict"]
    assert told["passed"] is True


def test_a_guest_that_cannot_be_built_is_an_error_before_anything_boots(run):
    verdict = run(FakeZgetdump(unfit=True))
    assert (verdict.result, verdict.phase) == (Result.ERROR, "images")
    assert list(verdict.timings) == ["images"]


@pytest.fixture
def judged(tmp_path) -> Callable[..., CheckResult]:
    """What is said of the dump in this evidence."""

    def judged(directory: Path, zgetdump: FakeZgetdump | None = None) -> CheckResult:
        with Evidence.open(directory) as evidence:
            heard = zgetdump or FakeZgetdump()
            return run_dump.check(evidence, directory / "disk.img", heard, NoProgress())

    return judged


def test_the_disk_is_judged_only_if_it_was_kept(tmp_path: Path, judged):
    synthetic = SyntheticRun()
    root = synthetic.write(tmp_path / "evidence")
    zgetdump = FakeZgetdump()
    assert judged(root, zgetdump).passed
    assert zgetdump.asked == ["dump"]
    disk_with(root, vmcore(synthetic.dumped_memory(), [stored(cpu) for cpu in synthetic.cpus]))
    assert judged(root, zgetdump).passed
    assert zgetdump.asked == ["dump", "dump", "disk.img"]


def without_dump(root: Path) -> None:
    (root / "dump/dump").unlink()
    collect_again(root)


def cut(root: Path) -> None:
    with (root / "dump/dump").open("r+b") as dump:
        dump.truncate(2 << 20)
    collect_again(root)


def compressed(root: Path) -> None:
    with open_dump(root / "dump/dump") as dump:
        convert(dump, root / "dump/other", "s390_ext", NoProgress())
    (root / "dump/other").replace(root / "dump/dump")
    collect_again(root)


def without_prefix(root: Path) -> None:
    content = (root / "dump/dump").read_bytes()
    flip(root / "dump/dump", content.index(bytes.fromhex("000000060000000400000305")) + 11)


SKIPPED = {
    without_dump: "the dump system left no dump: what was there",
    cut: "the dump is not whole: ",
    compressed: "zgetdump 2.16 knows elf, s390, not s390_ext",
    without_prefix: "ELF note 0x305 is missing",
}


@pytest.mark.parametrize("damage", SKIPPED)
def test_dumps_that_it_cannot_read_are_skipped(tmp_path: Path, judged, damage):
    root = SyntheticRun().write(tmp_path / "evidence")
    damage(root)
    zgetdump = FakeZgetdump()
    result = judged(root, zgetdump)
    assert SKIPPED[damage] in result.skipped_reason
    assert zgetdump.asked == []


def test_verifying_again_can_ask_zgetdump_too(run, evidence):
    agreed = run(FakeZgetdump())
    again = engine.verify(evidence, progress=NoProgress(), judges=judges_with(FakeZgetdump()))
    assert again.result is agreed.result
    assert zgetdump_of(again).notes == zgetdump_of(agreed).notes[:1]  # the disk is gone
    other = FakeZgetdump(INFO.replace("elf", "s390"))
    asked = judges_with(other)
    assert engine.verify(evidence, progress=NoProgress(), judges=asked).result is Result.FAIL
