"""The summary of several verdicts: its result, and its JSON document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import EvidenceError, ExitCode
from harness.phase import Phase
from harness.report.verdict import Result, Verdict
from tests.support.runs.reports import broken, failed, passed, refused, report, run, verdict

SKIPPED = run("late")
REFUSED = refused("odd", "no such kernel")


@pytest.mark.parametrize(
    ("runs", "worst", "code"),
    [
        ([passed("a"), passed("b")], Result.PASS, ExitCode.PASS),
        ([passed("a"), failed("b")], Result.FAIL, ExitCode.FAIL),
        ([broken("a"), failed("b"), passed("c")], Result.ERROR, ExitCode.ERROR),
        ([failed("a"), SKIPPED], Result.FAIL, ExitCode.FAIL),
        ([passed("a"), SKIPPED], Result.PASS, ExitCode.PASS),
        ([failed("a"), REFUSED, passed("b")], "USAGE", ExitCode.USAGE),
        ([broken("a"), REFUSED], Result.ERROR, ExitCode.ERROR),
        ([SKIPPED], Result.ERROR, ExitCode.ERROR),
        ([], Result.ERROR, ExitCode.ERROR),
    ],
)
def test_the_worst_result_counts_and_no_result_is_not_a_pass(runs, worst, code):
    assert report(*runs).worst == worst
    assert report(*runs).exit_code is code


def test_the_document_for_programs():
    document = report(passed("a"), broken("b"), SKIPPED, REFUSED, seconds=30.0).to_json()
    assert json.loads(json.dumps(document)) == document
    assert document["verdict"] == "ERROR"
    assert document["seconds"] == 30.0
    assert document["runs_per_minute"] == 4.0
    first, second, third, fourth = document["runs"]
    assert first == {
        "name": "a",
        "file": "scenarios/a.toml",
        "verdict": "PASS",
        "phase": None,
        "error": None,
        "seconds": 2.5,
        "directory": "/runs/batch/a",
        "replay": "zharness replay /runs/batch/a",
        "kept": False,
    }
    assert (second["phase"], second["error"]) == ("snapshot", "no space left")
    assert (third["verdict"], third["error"]) == ("SKIPPED", "interrupted")
    assert (fourth["verdict"], fourth["error"]) == ("USAGE", "no such kernel")
    assert fourth["directory"] is None


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (passed("a"), ""),
        (failed("a", "first", "second"), "first"),
        (broken("a", "waited; last lines:\n  | oops"), "waited; last lines:"),
        (failed("a", ""), ""),
        (run("a", verdict(Result.PASS, "too small", expected_wrong=True)), ""),
        (SKIPPED, "interrupted"),
        (REFUSED, "no such kernel"),
    ],
)
def test_the_headline_is_one_line(one, line):
    assert one.headline == line


def test_counts_name_every_result():
    assert report(passed("a"), failed("b"), failed("c"), SKIPPED, REFUSED).counts == {
        "PASS": 1,
        "FAIL": 2,
        "ERROR": 0,
        "INTERRUPTED": 0,
        "USAGE": 1,
        "SKIPPED": 1,
    }


@pytest.mark.parametrize(
    "original",
    [
        verdict(),
        verdict(Result.FAIL, "one", "two", phase="verify", timings={"boot": 1.5}),
        verdict(Result.ERROR, error="what", hint="how", inputs={"QEMU": "7.2.0"}),
    ],
)
def test_a_verdict_survives_json(original):
    data = json.loads(json.dumps(original.to_json()))
    again = Verdict.from_json(data, original.directory)
    assert again.to_json() == original.to_json()
    assert (again.result, again.directory) == (original.result, original.directory)
    assert again.phase is (None if original.phase is None else Phase(original.phase))


@pytest.mark.parametrize(
    "data", [{}, {"verdict": "MAYBE"}, {"verdict": None}, {"verdict": "FAIL", "phase": "tea"}]
)
def test_other_data_is_not_a_verdict(data):
    with pytest.raises(EvidenceError, match="not a verdict"):
        Verdict.from_json(data, Path())
