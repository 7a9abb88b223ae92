"""Of many findings, the one that goes before the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EvidenceError
from harness.report.explain import explain, lines, read
from harness.report.verdict import Result, Verdict
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, Line, PageOfDump, Telling

K = FindingKind
PLAIN = [kind for kind in FindingKind if kind.details.__name__ == "Details"]


def verdict(*findings: tuple[str, FindingKind], result: Result = Result.FAIL) -> Verdict:
    checks = {check: CheckResult(check, 1, "things", ()) for check, _ in findings}
    for check, kind in findings:
        told = Finding(check, kind, f"it is {kind}", details_of(kind))
        checks[check] = CheckResult(check, 1, "things", (*checks[check].findings, told))
    return Verdict(result, Path("evidence"), checks=tuple(checks.values()))


def details_of(kind: FindingKind) -> Any:
    if kind.details is PageOfDump:
        return PageOfDump(0x3000, 0, "00", "01", (0x2000, 0x9000), ("a page of the HSA",))
    if kind is K.CONSOLE_ALARM:
        return Line(3)
    if kind is K.STATEMENTS_DIFFER:
        return Telling("os_info", ())
    return kind.details()


@pytest.mark.parametrize(
    ("ended", "findings", "first"),
    [
        (
            "failed",
            [("superblock", K.NO_DUMP), ("console", K.TOOL_FAILED), ("outcome", K.NOT_FINISHED)],
            K.NOT_FINISHED,
        ),
        (
            "failed",
            [("outcome", K.NOT_FINISHED), ("outcome", K.SDIAS_OUTSIDE_HSA)],
            K.SDIAS_OUTSIDE_HSA,
        ),
        (
            "panicked",
            [
                ("outcome", K.NOT_FINISHED),
                ("outcome", K.HSA_NOT_RELEASED),
                ("console", K.CONSOLE_ALARM),
            ],
            K.CONSOLE_ALARM,
        ),
        (
            "failed",
            [("outcome", K.NOT_FINISHED), ("outcome", K.HSA_NOT_RELEASED)],
            K.HSA_NOT_RELEASED,
        ),
        (
            "panicked",
            [("console", K.CONSOLE_ALARM), ("statements", K.STATEMENTS_DIFFER)],
            K.STATEMENTS_DIFFER,
        ),
        ("stalled", [("outcome", K.HSA_NOT_RELEASED), ("outcome", K.NOT_FINISHED)], K.NOT_FINISHED),
        ("finished", [("semantic", K.KERNEL_TASKS), ("pages", K.PAGE_DIFFERS)], K.PAGE_DIFFERS),
        ("finished", [("verdict", K.NOT_WRONG), ("semantic", K.KERNEL_LOG)], K.KERNEL_LOG),
    ],
)
def test_what_goes_before_the_others(ended, findings, first):
    explained = explain(verdict(*findings), (), {"outcome": ended}, ())
    assert explained.first is not None
    assert explained.first.kind is first
    assert explained.cause == str(explained.first)


def test_a_fault_on_purpose_is_the_cause():
    outcome = {"outcome": "failed", "faults": {"no-sdias": 3, "disk-slow:rate=1": 0}}
    explained = explain(verdict(("outcome", K.NOT_FINISHED)), (), outcome, ())
    assert explained.cause == "on purpose: no-sdias"
    assert "seen first as: outcome: it is not-finished" in "\n".join(lines(explained, "again"))


def test_a_run_in_which_nothing_was_wrong():
    explained = explain(verdict(result=Result.PASS), (), {"faults": {"x": 1}}, ())
    assert explained.cause is None
    assert "Nothing was wrong." in list(lines(explained, "again"))


def test_an_error_is_its_own_cause():
    explained = explain(
        Verdict(Result.ERROR, Path(), error="no space left", hint="free some"), (), {}, ()
    )
    assert explained.cause == "no space left"
    assert "  hint: free some" in list(lines(explained, "again"))


def test_a_wrong_page_and_where_its_content_is_from():
    about = explain(verdict(("pages", K.PAGE_DIFFERS)), (), {}, ()).about
    assert about[:2] == ("a page of the HSA", "the content is that of the page +0x1000 bytes away")
    assert "memcpy_hsa_iter" in about[2]


def test_the_calls_of_a_dump_kernel_that_crashed():
    console = (
        "[    6.2] Krnl PSW : 0704f00180000000 000003ffe0369e5c (zcore_init+0x20/0x80)",
        "[    6.2]  [<000003ffe0369e5c>] zcore_init+0x20/0x80",
        "[    6.2]  [<000003ffe0100028>] do_one_initcall+0x4c/0x1e8",
    )
    about = explain(verdict(("console", K.CONSOLE_ALARM)), (), {}, console).about
    assert about == (
        "the dump kernel was at zcore_init+0x20/0x80",
        "called by zcore_init+0x20/0x80 < do_one_initcall+0x4c/0x1e8",
    )


def test_the_moments_of_a_journal():
    journal = (
        {"at": 0.5, "event": "begin", "phase": "dump"},
        {"at": 1, "event": "DIAG 308", "phase": "dump", "subcode": 6, "rc": 1},
        {"at": 2, "event": "looked for machine instructions", "found": 0},
        {"event": "begin"},
        {"at": "x", "event": 7},
    )
    explained = explain(verdict(), journal, {}, ())
    assert explained.moments == ((0.5, "phase dump"), (1.0, "  DIAG 308: subcode 6, rc 1"))


@given(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=12))
def test_every_finding_is_somewhere(kinds: list[FindingKind]):
    explained = explain(verdict(*(("outcome", kind) for kind in kinds)), (), {}, ())
    assert explained.first is not None
    assert sorted([explained.first, *explained.following], key=str) == sorted(
        (Finding("outcome", kind, f"it is {kind}") for kind in kinds), key=str
    )
    assert json.loads(json.dumps(explained.to_json()))["cause"]


def test_evidence_without_a_verdict_is_an_error(tmp_path: Path):
    with pytest.raises(EvidenceError, match=r"verdict\.json"):
        read(tmp_path)


def test_a_journal_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path):
    (tmp_path / "verdict.json").write_text(json.dumps(verdict().to_json()))
    (tmp_path / "journal.jsonl").write_text(
        '{"at": 1, "event": "begin", "phase": "dump"}\n[1]\n{"at": 2, "event": "beg'
    )
    assert read(tmp_path).moments == ((1.0, "phase dump"),)
