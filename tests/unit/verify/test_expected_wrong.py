"""What a run with faults must show: never a dump that looks whole and is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import EvidenceError
from harness.verify.evidence import Evidence
from harness.verify.kinds import FindingKind
from harness.verify.run_checks import CheckedRun, run_checks
from tests.support.cpus import make_cpu
from tests.support.evidence import CONSOLE, SyntheticRun, stored

REFUSED, SURVIVES, PARTIAL = (
    ("sdias-no-data:request=5",),
    ("sdias-lost:request=5",),
    ("sigp-check-stop:cpu=1",),
)
SAID_FAILED: dict[str, Any] = {
    "outcome": {"outcome": "failed", "result_line": "failed: x"},
    "console": (*CONSOLE[:-1], "zfcpdump result: failed: x"),
}


def checked(root: Path, *, happened: bool = True, **changes: Any) -> CheckedRun:
    played = {fault: int(happened) for fault in changes.get("faults", ())}
    changes["outcome"] = {**changes.get("outcome", {}), "faults": played}
    with Evidence.open(SyntheticRun(**changes).write(root)) as evidence:
        return run_checks(evidence)


def kinds(run: CheckedRun) -> list[FindingKind]:
    verdict = run.rest[-1]
    assert verdict.check == "verdict"
    return [finding.kind for finding in verdict.findings]


def wrong_memory() -> bytes:
    memory = bytearray(SyntheticRun().dumped_memory())
    memory[-1] ^= 1
    return bytes(memory)


def test_a_dump_that_the_tool_gave_up_and_nobody_can_take_for_one(tmp_path):
    cut = SyntheticRun().write(tmp_path / "whole") / "dump" / "dump"
    content = cut.read_bytes()[: cut.stat().st_size // 2]
    run = checked(tmp_path / "cut", faults=REFUSED, content=content, **SAID_FAILED)
    assert kinds(run) == []
    assert run.passed
    assert not run.right


def test_a_dump_that_failed_before_the_fault_happened(tmp_path):
    run = checked(tmp_path, faults=REFUSED, happened=False, content=b"", **SAID_FAILED)
    assert kinds(run) == [FindingKind.FAULT_MISSED]
    assert not run.passed


def test_a_dump_that_looks_whole_and_is_wrong(tmp_path):
    run = checked(tmp_path, faults=REFUSED, dumped=wrong_memory())
    assert kinds(run) == [FindingKind.SAID_COMPLETE, FindingKind.LOOKS_WHOLE]
    assert not run.passed


def test_a_dump_that_looks_whole_although_the_tool_gave_up(tmp_path):
    run = checked(tmp_path, faults=REFUSED, dumped=wrong_memory(), **SAID_FAILED)
    assert kinds(run) == [FindingKind.LOOKS_WHOLE]
    assert not run.passed


def test_a_tool_that_calls_a_half_dump_complete(tmp_path):
    cut = SyntheticRun().write(tmp_path / "whole") / "dump" / "dump"
    content = cut.read_bytes()[: cut.stat().st_size // 2]
    run = checked(tmp_path / "cut", faults=REFUSED, content=content)
    assert FindingKind.SAID_COMPLETE in kinds(run)
    assert not run.passed


def test_a_right_dump_where_there_should_be_none(tmp_path):
    run = checked(tmp_path, faults=REFUSED)
    assert kinds(run) == [FindingKind.NOT_WRONG]
    assert not run.passed


def test_what_survives_must_be_right(tmp_path):
    assert checked(tmp_path / "right", faults=SURVIVES).passed
    assert not checked(tmp_path / "wrong", faults=SURVIVES, dumped=wrong_memory()).passed


def test_a_cpu_that_is_missing_is_told_and_the_rest_is_right(tmp_path):
    cpus = [make_cpu(1), make_cpu(2)]
    lacking = {"cpus": cpus, "dumped_cpus": [stored(cpus[0])]}
    run = checked(tmp_path / "told", faults=PARTIAL, **lacking)
    assert kinds(run) == []
    assert run.passed
    wrong = checked(tmp_path / "wrong", faults=PARTIAL, dumped=wrong_memory(), **lacking)
    assert FindingKind.FINDING_UNEXPECTED in kinds(wrong)
    assert not wrong.passed
    untold = checked(tmp_path / "untold", faults=PARTIAL)
    assert kinds(untold) == [FindingKind.NOT_WRONG]


def test_what_the_scenario_names_itself_goes_before_the_table(tmp_path):
    expect = {"verdict": "FAIL", "findings": ["^pages: "]}
    run = checked(tmp_path, faults=REFUSED, dumped=wrong_memory(), expect=expect)
    assert kinds(run) == []
    assert run.passed


@pytest.mark.parametrize("text", ["sdias-lazy", "\x1b[31m"])
def test_a_fault_that_is_none_is_an_error_of_the_evidence(tmp_path, text):
    with pytest.raises(EvidenceError, match=r"plan\.scenario\.faults: there is no fault"):
        checked(tmp_path, faults=(text,))
