"""One signature for one cause, whatever its numbers and paths are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.report.signature import signature_of
from harness.report.verdict import Result, Verdict
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import NO_DETAILS, DifferingPages, FindingKind, PageOfDump, RegisterOfDump

K = FindingKind


def failed(*findings: Finding, result: Result = Result.FAIL, **more: Any) -> Verdict:
    checks = tuple(CheckResult(each.check, 1, "x", (each,)) for each in findings)
    return Verdict(result, Path("e"), checks=checks, **more)


def said(message: str, kind: FindingKind = K.TOOL_FAILED, check: str = "console") -> Finding:
    return Finding(check, kind, message, NO_DETAILS)


def page(address: int, *of: int) -> Finding:
    told = PageOfDump(address, 0, "00", "01", of, ())
    return Finding("pages", K.PAGE_DIFFERS, f"page {address:#x} differs", told)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            said("line 7: [    0.435359] cannot read memory at 0x428000: [Errno 14] Bad address"),
            said("line 19: [   12.000001] cannot read memory at 0x1000: [Errno 14] Bad address"),
        ),
        (said("/tmp/a-7/b.img: too short"), said("/var/tmp/c/d.img: too short")),
        (page(0x1000, 0x2000), page(0x7000, 0x8000, 0xF000)),
    ],
)
def test_the_same_cause_at_another_place(one, other):
    assert signature_of(failed(one)) == signature_of(failed(other))


def test_other_causes_have_other_signatures():
    register = RegisterOfDump(0, "gpr7", "00", "01")
    found = [
        failed(said("cannot read memory")),
        failed(said("cannot write the dump")),
        failed(said("cannot read memory", K.NO_RESULT_LINE)),
        failed(page(0x1000, 0x2000)),
        failed(page(0x1000, 0x3000)),
        failed(page(0x1000)),
        failed(Finding("registers", K.REGISTER_DIFFERS, "gpr7 differs", register)),
        failed(result=Result.ERROR, error="no room on /x/y", cause="HostError"),
        failed(result=Result.ERROR, error="no room on /x/y", cause="BuildError"),
    ]
    signatures = [signature_of(each) for each in found]
    assert len(set(signatures)) == len(found), signatures
    assert all(each is not None and each.startswith("1:") for each in signatures)


@pytest.mark.parametrize(
    ("one", "other", "same"), [(1, 1, True), (17, 9000, True), (2, 16, True), (1, 2, False)]
)
def test_how_many_pages_differ_counts_by_class(one, other, same):
    first, second = (
        signature_of(
            failed(
                Finding("pages", K.PAGES_DIFFER, f"{count} pages", DifferingPages(count, ())),
                page(0x1000),
            )
        )
        for count in (one, other)
    )
    assert (first == second) is same


def test_an_echo_is_no_cause():
    echo = Finding("superblock", K.NO_DUMP, "there is no dump")
    assert signature_of(failed(echo, said("it failed"))) == signature_of(failed(said("it failed")))


@pytest.mark.parametrize(
    ("outcome", "first"), [("failed", "hsa-not-released"), ("stalled", "not-finished")]
)
def test_how_the_dump_system_ended_decides_what_came_first(tmp_path, outcome, first):
    """One that hangs cannot release the HSA."""
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/outcome.json").write_text(f'{{"outcome": "{outcome}"}}')
    verdict = failed(
        said("it did not finish", K.NOT_FINISHED, "outcome"),
        said("the HSA was not released", K.HSA_NOT_RELEASED, "outcome"),
    )
    found = signature_of(replace(verdict, directory=tmp_path))
    assert found is not None
    assert found.startswith(f"1:outcome:{first}:")


def test_what_went_well_has_none():
    assert signature_of(Verdict(Result.PASS, Path("e"))) is None
    assert signature_of(Verdict(Result.INTERRUPTED, Path("e"))) is None


def test_a_failure_of_the_expectation_alone_has_one():
    late = Finding("expectations", K.TOO_SLOW, "the boot took 9 s")
    assert signature_of(failed(late)) == "1:expectations:too-slow:the boot took N s"
