"""The dump that the loaded system collected itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import EvidenceError
from harness.verify.checks import own_dump
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from tests.support.checked import checked, said
from tests.support.evidence import IDENTITY, PAGE, SyntheticRun, stored, vmcore

TOLD = {"found": "/dev/sdb", "version": "zgetdump 2.16", "format": "s390"}
EXPECT = {"reipl": True, "own_dump": True}


def result_of(tmp_path: Path, copy: bytes | None, told=None, expect=EXPECT) -> CheckResult:
    told = {**TOLD, "size": None if copy is None else len(copy)} if told is None else told
    run = SyntheticRun(
        expect=expect,
        outcome={"reipl_block": "00"},
        reipl={"named": "x", "loaded": True, "own_dump": told},
    )
    root = run.write(tmp_path / "run")
    if copy is not None:
        (root / "reipl/dump").write_bytes(copy)
    return checked(own_dump.check, root)


def copied(memory=None, cpus=None) -> bytes:
    run = SyntheticRun()
    cpus = [stored(cpu) for cpu in run.cpus if cpu.prefix] if cpus is None else cpus
    return vmcore(run.dumped_memory() if memory is None else memory, cpus)


def test_a_copy_that_equals_the_machine(tmp_path):
    result = result_of(tmp_path, copied())
    assert result.passed, said(result)
    assert result.compared > len(SyntheticRun().memory) // PAGE
    assert result.nonzero
    assert result.notes == ("zgetdump 2.16: /dev/sdb, format s390",)


def test_a_page_that_differs(tmp_path):
    memory = bytearray(SyntheticRun().dumped_memory())
    memory[9 * PAGE] ^= 1
    result = result_of(tmp_path, copied(bytes(memory)))
    assert {finding.check for finding in result.findings} == {"own-dump"}
    assert "pages: " in said(result)


def test_a_register_that_differs(tmp_path):
    run = SyntheticRun()
    result = result_of(tmp_path, copied(cpus=[stored(run.cpus[1]), stored(run.cpus[0])]))
    assert "registers: " in said(result)


def test_a_stand_alone_dump_has_registers_in_its_memory_and_so_has_its_copy(tmp_path):
    run = SyntheticRun(form="s390", expect=EXPECT, outcome={"reipl_block": "00"})
    cpus = [stored(cpu) for cpu in run.cpus if cpu.prefix]
    copy = vmcore(run.dumped_memory(), cpus, loads=(IDENTITY,))
    run.reipl = {"named": "x", "loaded": True, "own_dump": {**TOLD, "size": len(copy)}}
    root = run.write(tmp_path / "run")
    (root / "reipl/dump").write_bytes(copy)
    result = checked(own_dump.check, root)
    assert result.passed, said(result)
    assert any("a stand-alone dump keeps" in item.reason for item in result.allowed)


def test_a_copy_that_is_cut(tmp_path):
    result = result_of(tmp_path, copied()[:-PAGE])
    assert not result.passed


def test_a_copy_that_is_no_dump(tmp_path):
    result = result_of(tmp_path, b"text" * PAGE)
    assert not result.passed


def test_the_system_says_why_there_is_none(tmp_path):
    result = result_of(tmp_path, None, {"error": "zgetdump finds no dump on any disk"})
    assert said(result) == ("the system collected no dump: zgetdump finds no dump on any disk")


def test_the_system_was_not_asked(tmp_path):
    run = SyntheticRun(
        expect=EXPECT, outcome={"reipl_block": "00"}, reipl={"named": "x", "loaded": True}
    )
    result = checked(own_dump.check, run.write(tmp_path / "run"))
    assert said(result) == "the system was not asked to collect its dump"


def test_there_was_no_re_ipl(tmp_path):
    run = SyntheticRun(expect=EXPECT)
    result = checked(own_dump.check, run.write(tmp_path / "run"))
    assert said(result) == "there was no re-IPL"


def test_nobody_asks_for_it(tmp_path):
    result = result_of(tmp_path, copied(), expect={"reipl": True})
    assert result.skipped_reason == "the system was not to collect its dump itself"


def test_a_copy_of_another_size_is_damaged_evidence(tmp_path):
    told = {**TOLD, "size": 5}
    with pytest.raises(EvidenceError, match="but 5 were collected"):
        result_of(tmp_path, copied(), told)


def test_the_copy_may_not_be_a_link(tmp_path):
    run = SyntheticRun(
        expect=EXPECT, reipl={"named": "x", "loaded": True, "own_dump": {**TOLD, "size": 5}}
    )
    root = run.write(tmp_path / "run")
    (tmp_path / "other").write_bytes(b"12345")
    (root / "reipl/dump").symlink_to(tmp_path / "other")
    with pytest.raises(EvidenceError), Evidence.open(root):
        pass
