"""The page of a run: all that is known of it, from evidence that anybody may have made."""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.evidence.slim import slim
from harness.report.verdict import Result, Verdict
from harness.results.nights import Attempt
from harness.results.page.chosen import choose_runs
from harness.results.page.run_page import MOST_FINDINGS, run_page
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.run_checks import run_checks
from tests.support.evidence import IMAGE, OS_INFO_POINTER, SyntheticRun, crashed_memory
from tests.support.kernels.crashed_kernel import OS_INFO, os_info
from tests.support.runs.html import Page, checked
from tests.support.runs.nights import attempt, night

EVIL = "<script>alert(1)</script></pre>&\"'\x1b[31m\u202e"
HOST = platform.node()
DIFFERING = (0x3000, 0x104000, 0x3F5000)
FIDELITY = (
    {"function": "SDIAS", "provider": "harness", "detail": "at the service signal"},
    {"function": "FCP channel", "provider": "absent", "detail": "virtio"},
    {"function": "instructions", "provider": "QEMU", "detail": "TCG"},
)
Changed = Callable[[Path], object]


def told(verdict: Verdict, root: Path) -> Path:
    (root / "verdict.json").write_text(json.dumps(verdict.to_json()))
    return root


def verdict_of(root: Path, **context: Any) -> Verdict:
    with Evidence.open(root) as evidence:
        found = run_checks(evidence)
    given = {"timings": {"boot": 3.0, "dump": 9.0}, "inputs": {"QEMU": "7.2"}, "host": HOST}
    return Verdict.of(found, directory=root, fidelity=FIDELITY, **given, **context)


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """The evidence of a dump in which three pages differ."""
    memory = bytearray(crashed_memory())
    struct.pack_into(">Q", memory, OS_INFO_POINTER, OS_INFO)
    memory[OS_INFO : OS_INFO + 4096] = os_info()
    run = SyntheticRun(memory=bytes(memory))
    dumped = bytearray(run.dumped_memory())
    for at in DIFFERING:
        dumped[at + 8] ^= 0xFF
    run.dumped = bytes(dumped)
    root = run.write(tmp_path / "wrong")
    return told(verdict_of(root), root)


def text_of(root: Path | None, host: str = HOST, **changed: Any) -> str:
    found: Attempt = replace(
        attempt("FAIL"), evidence=None if root is None else str(root), **changed
    )
    return run_text(found, host=host)


def run_text(found: Attempt, name: str = "quick", host: str = HOST) -> str:
    (chosen,) = choose_runs([replace(night(7, **{name: found}), host=host)])
    return run_page(chosen, [chosen])


def page_of(root: Path | None, **changed: Any) -> Page:
    return checked(text_of(root, **changed))


def test_the_pages_that_differ_are_marked_exactly(wrong):
    page = page_of(wrong)
    marks = [title for style, title in page.marks if style == "m-differs"]
    assert marks == [f"{at:#x}-{at + 0xFFF:#x}: differs, 1 page" for at in DIFFERING]
    assert ("m-hsa", "0x0-0xfffff: saved in the HSA, 256 pages") in page.marks
    assert [title for style, title in page.marks if style == "m-image"] == [
        f"{IMAGE[0]:#x}-{IMAGE[1] - 1:#x}: kernel image, 64 pages"
    ]
    for at in DIFFERING:
        assert page.text.count(f"{at:#x}-{at + 0xFFF:#x}") >= 2, "in the picture and in the table"


def test_all_that_is_known_is_there(wrong):
    page = page_of(wrong, headline="it is wrong", inputs={"kernel": "6.12.90"})
    for words in ("FAIL", "it is wrong", "zharness replay x", "What was wrong first"):
        assert words in page.text
    assert "page 0x3000: first difference at 0x3008" in page.text
    assert "wrote 4 MB of 4 MB (100%)" in page.text, "the dump system's console"
    assert "boot 1 from its own disk" in page.text, "the crashed system's"
    for word in {word for function in FIDELITY for word in function.values()}:
        assert word in page.text
    assert "6.12.90" in page.text
    assert ("phase", "dump: 9.0 s") in page.marks
    assert page.links == ["../index.html"]
    assert "removed" not in page.text


def test_the_other_runs_of_the_night_are_named():
    history = [night(1, a=(attempt("FAIL"), attempt()))]
    first, second = choose_runs(history)
    assert checked(run_page(first, [first, second])).links == ["../index.html", "1-2-a.html"]


def test_evidence_that_was_removed(wrong):
    shutil.rmtree(wrong)
    page = page_of(wrong, metrics={"seconds.dump": 4.5, "other": 1.0})
    assert "The evidence was removed." in page.text
    assert page.marks == [("phase", "dump: 4.5 s")], "the database has it"
    elsewhere = page_of(wrong, host="elsewhere")
    assert "The evidence is not on this host; the run was on elsewhere." in elsewhere.text
    assert "The run left no evidence." in page_of(None).text


def test_evidence_of_which_only_texts_stay(tmp_path):
    root = SyntheticRun().write(tmp_path / "right")
    told(verdict_of(root), root)
    slim(root)
    page = checked(run_text(replace(attempt(), evidence=str(root))))
    assert "Memory and dump were removed" in page.text
    assert "Nothing was wrong." in page.text
    assert [style for style, _ in page.marks if style.startswith("m-")] == ["m-hsa"]


def test_the_evidence_of_another_run_is_not_shown(wrong):
    for changed in ({"result": "ERROR"}, {"host": "elsewhere"}):
        page = page_of(wrong, **changed)
        assert "the evidence of another run" in page.text
        assert page.marks == []


def test_a_run_without_a_verdict_still_has_consoles(wrong):
    (wrong / "verdict.json").unlink()
    page = page_of(wrong)
    assert "Kernel panic" in page.text
    assert "Findings" not in page.text
    assert [style for style, _ in page.marks] == ["m-hsa", "m-image"]


def test_nothing_of_others_is_markup(tmp_path):
    root = tmp_path / "evil"
    SyntheticRun().write(root)
    for console in ("crash/console.log", "dump/console.log"):
        (root / console).write_bytes(EVIL.encode(errors="surrogatepass") * 40 + b"\xff\0\n\n\r")
    finding = Finding(EVIL, FindingKind.UNSPECIFIED, EVIL)
    checks = (
        CheckResult(EVIL, 1, EVIL, (finding,)),
        CheckResult.skipped(EVIL, EVIL, EVIL),
    )
    told(
        Verdict(
            Result.FAIL,
            root,
            error=EVIL,
            hint=EVIL,
            checks=checks,
            fidelity=({"function": EVIL, "provider": EVIL, EVIL: EVIL},),
            timings={EVIL: 1.0},
            inputs={EVIL: EVIL},
        ),
        root,
    )
    outcome = json.loads((root / "dump/outcome.json").read_text())
    (root / "dump/outcome.json").write_text(json.dumps(outcome | {"faults": {EVIL: 1}}))
    bad = attempt("FAIL", signature=EVIL, **{EVIL: EVIL})
    bad = replace(bad, evidence=str(root), headline=EVIL + "\ud800", replay=EVIL)
    text = run_text(bad, name=EVIL)
    checked(text)
    text.encode()
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\0" not in text
    assert "\u202e" not in text
    assert text.count("</pre>") == 2
    assert text.count("&lt;script&gt;") > 40


def test_the_page_stays_small(wrong):
    lines = b"".join(b"%d <&>'" % number + b"\x1b" * 3000 + b"\n" for number in range(4000))
    (wrong / "dump/console.log").write_bytes(lines)
    many = tuple(
        Finding("pages", FindingKind.NO_DUMP, f"number {number} " + "x" * 5000)
        for number in range(MOST_FINDINGS + 300)
    )
    verdict = Verdict(
        Result.FAIL,
        wrong,
        checks=(CheckResult("pages", 1, "pages", many),),
        fidelity=FIDELITY * 500,
        timings={f"phase-{number}": 1.0 for number in range(500)},
        inputs={f"input-{number}": "y" * 5000 for number in range(900)},
    )
    told(verdict, wrong)
    text = text_of(wrong)
    page = checked(text)
    assert "and 300 more" in page.text
    assert f"number {MOST_FINDINGS - 1} " in page.text
    assert f"number {MOST_FINDINGS} " not in page.text
    assert "3999 <&>'" in page.text
    assert "3799 <&>'" not in page.text, "the last 200 lines"
    assert len(text.encode()) < 1_000_000


def to_link(path: Path, outside: Path) -> None:
    path.rename(outside)
    path.symlink_to(outside)


@pytest.mark.parametrize(
    "name", ["", "crash", "dump", "verdict.json", "crash/console.log", "crash/machine.json"]
)
def test_a_link_is_not_followed_out_of_the_evidence(wrong, tmp_path, name):
    (wrong / "crash/console.log").write_text("+ 0.0 a secret\n")
    to_link(wrong / name, tmp_path / "outside")
    page = page_of(wrong)
    if name != "crash/machine.json":
        assert "a secret" not in page.text
        assert "link" in page.text or "directory of its own" in page.text
    else:
        assert not [style for style, _ in page.marks if style.startswith("m-")]


DAMAGES: dict[str, Changed] = {
    "no JSON": lambda root: (root / "verdict.json").write_text("{"),
    "a FIFO": lambda root: (
        (root / "dump/console.log").unlink(),
        os.mkfifo(root / "dump/console.log"),
    ),
    "outcome": lambda root: (root / "dump/outcome.json").write_text("[]"),
    "machine": lambda root: (root / "crash/machine.json").write_text('{"memory": -1}'),
    "no ram": lambda root: (root / "crash/ram.img").unlink(),
    "ram is short": lambda root: (root / "crash/ram.img").write_bytes(b"x"),
    "no dump": lambda root: shutil.rmtree(root / "dump"),
    "no crash": lambda root: shutil.rmtree(root / "crash"),
    "a file": lambda root: (shutil.rmtree(root), root.write_text("x")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_evidence_gives_a_page_nevertheless(wrong, damage):
    DAMAGES[damage](wrong)
    page = page_of(wrong)
    assert "zharness replay x" in page.text
    if damage in ("no JSON", "a file"):
        assert "The evidence cannot be used" in page.text
    if damage == "a FIFO":
        assert "is a FIFO" in page.text
    if damage in ("machine", "no crash"):
        assert "m-hsa" not in [style for style, _ in page.marks]
    if damage in ("no ram", "ram is short"):
        assert "Where the kernel's image was is not known" in page.text
