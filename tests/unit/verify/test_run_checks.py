"""The checks as a whole: what counts as passed, and what is the harness's own fault."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import EvidenceError, HostError
from harness.report.check_file import checks_to_json
from harness.verify.checks import outcome
from harness.verify.checks import planted_content as content
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.run_checks import DUMP_CHECKS, OTHER_CHECKS, run_checks
from tests.support.evidence import SyntheticRun, collect_again


def opened(root: Path) -> None:
    with Evidence.open(root):
        pass


def idle(_: Evidence) -> CheckResult:
    return CheckResult("idle", 0, "things")


def test_check_that_compared_nothing_fails(tmp_path: Path):
    with Evidence.open(SyntheticRun().write(tmp_path)) as evidence:
        checked = run_checks(evidence, (idle,))
    assert not checked.passed
    assert [finding.message for finding in checked.findings] == ["compared no things at all"]


def test_passing_needs_something_compared_and_no_finding():
    finding = Finding("x", FindingKind.UNREADABLE, "wrong")
    assert CheckResult("x", 1, "things").passed
    assert not CheckResult("x", 0, "things").passed
    assert not CheckResult("x", 1, "things", (finding,)).passed
    assert CheckResult.skipped("x", "things", "for a reason").passed


def test_every_check_has_its_own_name(tmp_path: Path):
    with Evidence.open(SyntheticRun().write(tmp_path)) as evidence:
        names = [result.check for result in run_checks(evidence).results]
    assert len(set(names)) == len(names) == len(DUMP_CHECKS) + len(OTHER_CHECKS)


def test_verdict_is_json(tmp_path: Path):
    run = SyntheticRun(outcome={"hsa_released": False})
    with Evidence.open(run.write(tmp_path)) as evidence:
        checks = json.loads(json.dumps(checks_to_json(run_checks(evidence).results)))
    first = next(check for check in checks if check["check"] == outcome.CHECK)
    assert first == {
        "check": "outcome",
        "passed": False,
        "compared": 8,
        "unit": "observations",
        "nonzero": None,
        "findings": [
            {
                "check": "outcome",
                "kind": "hsa-not-released",
                "message": "the HSA was not released",
                "details": {},
            }
        ],
        "allowed": [],
        "skipped": None,
        "notes": [],
    }


@pytest.mark.parametrize("expect", [{}, {"verdict": "FAIL", "findings": ["^registers: "]}])
def test_a_dump_system_without_memory_has_a_hint(tmp_path: Path, expect: dict[str, object]):
    console = ("Kernel panic - not syncing: System is deadlocked on memory",)
    run = SyntheticRun(console=console, expect=expect)
    with Evidence.open(run.write(tmp_path)) as evidence:
        hint = run_checks(evidence).hint
    assert hint == (
        "the dump system ran out of memory in an HSA of 1M; give it more with --hsa-size"
    )


def test_checking_twice_says_the_same(tmp_path: Path):
    root = SyntheticRun().write(tmp_path)
    os.truncate(root / "dump/dump", 3 << 20)
    collect_again(root)
    verdicts = []
    for _ in range(2):
        with Evidence.open(root) as evidence:
            verdicts.append(run_checks(evidence))
    assert verdicts[0] == verdicts[1]


def remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(text)


def set_in(name: str, **values: object) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = root / name
        path.write_text(json.dumps(json.loads(path.read_bytes()) | values))

    return change


DAMAGE = {
    "no memory": (remove("crash/ram.img"), "crash/ram.img: No such file"),
    "short memory": (
        lambda root: os.truncate(root / "crash/ram.img", 4096),
        "crash/ram.img: 4096 bytes, but the machine had 4194304",
    ),
    "no machine": (remove("crash/machine.json"), "crash/machine.json: No such file"),
    "no memory size": (
        write("crash/machine.json", "{}"),
        "machine.json: memory: is missing",
    ),
    "no CPUs": (remove("crash/cpus.json"), "crash/cpus.json: No such file"),
    "empty CPUs": (write("crash/cpus.json", '{"cpus": []}'), "crash/cpus.json: holds no CPU"),
    "odd CPUs": (write("crash/cpus.json", '{"cpus": [1]}'), "not a list of CPU states"),
    "CPUs in a list": (write("crash/cpus.json", "[]"), "cpus.json: holds no JSON object"),
    "no outcome": (remove("dump/outcome.json"), "dump/outcome.json: No such file"),
    "outcome no JSON": (write("dump/outcome.json", "{"), "dump/outcome.json: not JSON"),
    "no layout": (
        write("dump/outcome.json", '{"outcome": ""}'),
        "json: result_line: is missing",
    ),
    "odd layout": (set_in("dump/outcome.json", layout="fat"), "json: layout: must be"),
    "no console": (remove("dump/console.log"), "dump/console.log: No such file"),
    "no superblock": (remove("dump/superblock.bin"), "dump/superblock.bin: No such file"),
    "never collected": (remove("dump/collected.json"), "so the dump was never collected"),
    "odd collection": (write("dump/collected.json", "{}"), "does not tell what was collected"),
    "collection no JSON": (write("dump/collected.json", "{"), "collected.json: not JSON"),
    "size no number": (
        write("dump/collected.json", '{"size": "12", "note": "", "superblock_offset": null}'),
        "collected.json: does not tell",
    ),
    "dump lost": (remove("dump/dump"), "dump/dump: No such file"),
    "dump cut": (
        lambda root: os.truncate(root / "dump/dump", 4096),
        "dump/dump: 4096 bytes, but ",
    ),
    "short superblock": (
        write("dump/superblock.bin", "x"),
        "dump/superblock.bin: dump superblock of 1 bytes",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_evidence_is_an_error_that_names_the_file(tmp_path: Path, name: str):
    damage, message = DAMAGE[name]
    root = SyntheticRun().write(tmp_path)
    damage(root)
    with pytest.raises(EvidenceError) as caught:
        opened(root)
    assert str(root) in caught.value.message
    assert message in caught.value.message


@pytest.mark.parametrize("seed", [0, 1234, (1 << 64) - 1])
def test_evidence_tells_the_seed(tmp_path: Path, seed: int):
    root = SyntheticRun(content_seed=seed).write(tmp_path)
    with Evidence.open(root) as evidence:
        assert evidence.content_seed == seed
        result = next(item for item in run_checks(evidence).results if item.check == content.CHECK)
    assert not result.passed  # there is none in this dump


def test_evidence_without_content(tmp_path: Path):
    with Evidence.open(SyntheticRun().write(tmp_path)) as evidence:
        assert evidence.content_seed is None
        result = next(item for item in run_checks(evidence).results if item.check == content.CHECK)
    assert result.skipped_reason == "the crashed system planted no content"


@pytest.mark.parametrize("seed", ["1", -1, 1 << 64, 1.5, True, [1]])
def test_an_odd_seed_is_an_error_that_names_the_file(tmp_path: Path, seed: object):
    root = SyntheticRun().write(tmp_path)
    machine = root / "crash/machine.json"
    machine.write_text(json.dumps(json.loads(machine.read_bytes()) | {"content_seed": seed}))
    with pytest.raises(EvidenceError, match=r"machine\.json: (content_seed|not JSON.* 64 bits)"):
        opened(root)


def unable(evidence: Evidence) -> CheckResult:
    return CheckResult.unable("semantic", "kernel objects", HostError("drgn was killed"))


def test_an_error_in_a_check_is_an_error(tmp_path: Path):
    with (
        Evidence.open(SyntheticRun().write(tmp_path)) as evidence,
        pytest.raises(HostError, match="drgn was killed"),
    ):
        run_checks(evidence, (*DUMP_CHECKS, unable))


def test_a_wrong_dump_stays_wrong_after_an_error_in_another_check(tmp_path: Path):
    run = SyntheticRun(outcome={"hsa_released": False})
    with Evidence.open(run.write(tmp_path)) as evidence:
        checked = run_checks(evidence, (*DUMP_CHECKS, unable))
    assert not checked.passed
    assert checked.results[len(DUMP_CHECKS)].skipped_reason == "drgn was killed"


def test_where_a_wrong_dump_is_expected_every_check_counts(tmp_path: Path):
    expect = {"verdict": "FAIL", "findings": ["HSA"]}
    run = SyntheticRun(outcome={"hsa_released": False}, expect=expect)
    with (
        Evidence.open(run.write(tmp_path)) as evidence,
        pytest.raises(HostError, match="drgn was killed"),
    ):
        run_checks(evidence, (*DUMP_CHECKS, unable))
