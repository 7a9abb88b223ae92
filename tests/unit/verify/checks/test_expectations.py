"""The checks of what a scenario expects beside a right dump: each goes red in each way it can."""

from __future__ import annotations

import pytest

from harness.errors import EvidenceError
from harness.verify import patterns
from harness.verify.checks import expectations, reipl
from harness.verify.checks.crashed_kernel import vmcoreinfo
from harness.verify.evidence import Evidence
from harness.verify.run_checks import run_checks
from tests.support.evidence import (
    CONSOLE,
    VMCORE_INFO_POINTER,
    VMCOREINFO,
    SyntheticRun,
    crashed_memory,
)

LOADED = {"named": "the original system", "loaded": True}
ASKED = {"reipl_block": "00"}


def result_of(check, tmp_path, **run):
    with Evidence.open(SyntheticRun(**run).write(tmp_path / "run")) as evidence:
        return check.check(evidence)


def message(check, tmp_path, **run):
    result = result_of(check, tmp_path, **run)
    assert not result.passed
    (finding,) = result.findings
    return finding.message


def test_without_expectations_there_is_no_check(tmp_path):
    for check in (expectations, reipl):
        assert result_of(check, tmp_path / check.CHECK).skipped_reason


def test_both_consoles_are_looked_at(tmp_path):
    expect = {"crash_console": ["^Kernel panic"], "dump_console": ["result: ok"]}
    result = result_of(expectations, tmp_path, expect=expect)
    assert result.passed
    assert result.compared == 2


@pytest.mark.parametrize("console", ["crash", "dump"])
def test_a_pattern_that_does_not_match(tmp_path, console):
    said = message(expectations, tmp_path, expect={f"{console}_console": ["no such line"]})
    assert said == f"nothing in {console}/console.log matches 'no such line'"


ENDLESS = r"(\w+\W*)+\0"  # tries each way to cut the line into words


@pytest.mark.parametrize(
    "expect",
    [
        {"crash_console": [ENDLESS]},
        {"dump_console": [ENDLESS]},
        {"verdict": "FAIL", "findings": [ENDLESS]},
    ],
)
def test_a_pattern_that_never_ends_is_an_error_of_the_evidence(tmp_path, monkeypatch, expect):
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    run = SyntheticRun(outcome={"hsa_released": False}, expect=expect)
    with (
        Evidence.open(run.write(tmp_path / "run")) as evidence,
        pytest.raises(EvidenceError, match="not matched to their end"),
    ):
        run_checks(evidence)


def test_a_time_limit_is_kept_or_not(tmp_path):
    assert result_of(expectations, tmp_path / "a", expect={"time_limit": 2.5}).passed
    said = message(expectations, tmp_path / "b", expect={"time_limit": 2.4})
    assert "2.5 times" in said
    assert "limit is 2.4 times" in said


@pytest.mark.parametrize("value", [None, 0, "5"])
@pytest.mark.parametrize(
    ("part", "field", "file"),
    [
        ("machine", "boot_seconds", "crash/machine.json"),
        ("outcome", "seconds", "dump/outcome.json"),
    ],
)
def test_a_time_limit_without_times_is_an_error(tmp_path, part, field, file, value):
    run = {"expect": {"time_limit": 9}, part: {field: value}}
    with pytest.raises(EvidenceError, match=f"{file}: (tells no time|{field}: )"):
        result_of(expectations, tmp_path, **run)


def test_the_original_system_is_up_again(tmp_path):
    result = result_of(reipl, tmp_path, expect={"reipl": True}, outcome=ASKED, reipl=LOADED)
    assert result.passed
    assert result.compared == 1


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"expect": {"reipl": True}}, "did not ask"),
        ({"outcome": ASKED}, "nobody expected"),
        ({"expect": {"reipl": True}, "outcome": ASKED}, "not the original system"),
        (
            {"expect": {"reipl": True}, "outcome": ASKED, "reipl": {"named": "x", "loaded": False}},
            "asked for a load of x",
        ),
        (
            {
                "expect": {"reipl": True},
                "outcome": ASKED,
                "reipl": LOADED,
                "reipl_console": ("zharness: boot 1 from its own disk",),
            },
            "went from 1 to 1",
        ),
        (
            {"expect": {"reipl": True}, "outcome": ASKED, "reipl": LOADED, "reipl_console": ()},
            "went from 1 to None",
        ),
        (
            {"expect": {"reipl": True}, "outcome": ASKED, "reipl": LOADED, "crash_console": ("",)},
            "went from None to 2",
        ),
    ],
)
def test_a_re_ipl_that_is_not_as_it_should_be(tmp_path, run, said):
    assert said in message(reipl, tmp_path, **run)


def test_an_unfinished_re_ipl_is_an_error(tmp_path):
    root = SyntheticRun(expect={"reipl": True}, outcome=ASKED).write(tmp_path / "run")
    (root / "crash/system.img").touch()
    with pytest.raises(EvidenceError, match=r"reipl/outcome\.json: missing"), Evidence.open(root):
        pass


def test_a_fault_of_qemu_is_an_error(tmp_path):
    run = SyntheticRun(expect={"reipl": True}, outcome={"qemu_fault": "it computes wrongly"})
    root = run.write(tmp_path / "run")
    with pytest.raises(EvidenceError, match="it computes wrongly"), Evidence.open(root):
        pass


WRONG = {"outcome": {"hsa_released": False}}


@pytest.mark.parametrize(
    ("expected", "run", "passed"),
    [("PASS", {}, True), ("PASS", WRONG, False), ("FAIL", {}, False), ("FAIL", WRONG, True)],
)
def test_a_wrong_dump_can_be_what_is_expected(tmp_path, expected, run, passed):
    expect = {"verdict": expected, "findings": ["HSA"] if expected == "FAIL" else []}
    root = SyntheticRun(expect=expect, **run).write(tmp_path / "run")
    with Evidence.open(root) as evidence:
        checked = run_checks(evidence)
    assert checked.passed is passed
    assert checked.right is (not run)
    assert checked.expected_wrong is (expected == "FAIL")
    if not passed:
        assert checked.findings


def test_a_wrong_dump_that_is_expected_excuses_nothing_else(tmp_path):
    expect = {"verdict": "FAIL", "findings": ["HSA"], "dump_console": ["no such line"]}
    root = SyntheticRun(expect=expect, **WRONG).write(tmp_path / "run")
    with Evidence.open(root) as evidence:
        assert not run_checks(evidence).passed


KEPT = "outcome: the HSA was not released"
UNMATCHED = "the dump is wrong, but no finding matches '{}'"
UNEXPECTED = "the dump is wrong in a way that was not expected: {}"


@pytest.mark.parametrize(
    ("patterns", "messages"),
    [
        (["^outcome: .*HSA was not released"], []),
        (["^outcome: ", "^outcome: .*HSA"], []),
        (["^outcome: ", "^pages: "], [UNMATCHED.format("^pages: ")]),
        (
            ["^registers: .*HSA was not released"],
            [UNMATCHED.format("^registers: .*HSA was not released"), UNEXPECTED.format(KEPT)],
        ),
    ],
)
def test_a_dump_must_be_wrong_in_the_way_that_is_expected(tmp_path, patterns, messages):
    expect = {"verdict": "FAIL", "findings": patterns}
    root = SyntheticRun(expect=expect, **WRONG).write(tmp_path / "run")
    with Evidence.open(root) as evidence:
        checked = run_checks(evidence)
    said = [finding.message for finding in checked.findings if finding.check == "verdict"]
    assert said == messages
    assert checked.passed is (not messages)


def test_a_fault_that_is_expected_does_not_hide_another(tmp_path):
    expect = {"verdict": "FAIL", "findings": ["^console: "]}
    console = (*CONSOLE, "Kernel panic - not syncing: x")
    root = SyntheticRun(expect=expect, console=console, **WRONG).write(tmp_path / "run")
    with Evidence.open(root) as evidence:
        checked = run_checks(evidence)
    said = [finding.message for finding in checked.findings if finding.check == "verdict"]
    assert said == [UNEXPECTED.format(KEPT)]
    assert not checked.passed


def test_evidence_that_does_not_tell_what_was_expected(tmp_path):
    root = SyntheticRun().write(tmp_path / "run")
    (root / "run.json").write_text("{}")
    with pytest.raises(EvidenceError, match=r"run\.json"), Evidence.open(root):
        pass


EARLY = {"early": True}


def test_an_early_crash_is_right_if_it_is_expected(tmp_path):
    memory = early_memory()
    run = {"memory": memory, "vmcoreinfo": None, "expect": EARLY}
    result = result_of(vmcoreinfo, tmp_path / "expected", **run)
    assert (result.skipped_reason or "").startswith("the dump is early: Linux had not set")
    assert result_of(expectations, tmp_path / "kept", **run).passed
    said = message(vmcoreinfo, tmp_path / "not", memory=memory, vmcoreinfo=None)
    assert "the crashed memory has none either; the dump is early: Linux had not set" in said


def test_an_early_crash_that_comes_late_is_not_as_expected(tmp_path):
    said = message(expectations, tmp_path, expect=EARLY)
    assert said.startswith("an early crash was expected, but the crashed kernel had set VMCOREINFO")


def test_a_dump_without_vmcoreinfo_is_not_early_because_that_was_expected(tmp_path):
    said = message(vmcoreinfo, tmp_path / "lost", vmcoreinfo=None, expect=EARLY)
    assert said.endswith(f"the crashed memory has one of {len(VMCOREINFO)} bytes")


def early_memory():
    """Memory of a Linux that stopped before it had set VMCOREINFO."""
    memory = bytearray(crashed_memory())
    memory[VMCORE_INFO_POINTER : VMCORE_INFO_POINTER + 8] = (0x80001).to_bytes(8, "big")
    return bytes(memory)
