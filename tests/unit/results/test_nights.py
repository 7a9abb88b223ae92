"""What changed from one night to the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.results import known
from harness.results.database import Database
from harness.results.nights import Kind, Night, alike, changes, issues, nights
from harness.results.nights import night as one
from harness.results.record import Recorder, State
from harness.results.told import exit_code, lines, to_json
from tests.support.runs.nights import attempt, night, report, run

OK, BAD = attempt(kernel="6.12"), attempt("FAIL", kernel="6.13")


def kinds(*history: Night, **known: str) -> dict[str, Kind]:
    return {change.name: change.kind for change in changes(history, known)}


def test_every_kind_of_change():
    before = night(1, a=OK, b=OK, c=BAD, d=BAD, e=BAD, gone=OK, same=OK, flaky=(BAD, OK))
    now = night(
        2,
        a=OK,
        b=BAD,
        c=OK,
        d=BAD,
        e=attempt("FAIL", signature="1:other"),
        added=OK,
        same=OK,
        flaky=OK,
    )
    assert kinds(before, now) == {
        "b": Kind.NEW,
        "e": Kind.ANOTHER,
        "d": Kind.STILL,
        "c": Kind.FIXED,
        "flaky": Kind.FIXED,
        "gone": Kind.GONE,
        "added": Kind.ADDED,
    }


def test_the_first_night_has_only_new_failures():
    assert kinds(night(1, a=OK, b=BAD)) == {"b": Kind.NEW}


def test_since_when_and_which_inputs_are_others():
    history = [
        night(1, a=attempt(kernel="6.12", qemu="7")),
        night(2),
        night(3, a=attempt("FAIL", kernel="6.13", qemu="7")),
        night(4, a=attempt("ERROR", kernel="6.13", qemu="7")),
        night(5, a=attempt("ERROR", kernel="6.14", new="1")),
    ]
    (change,) = changes(history, {})
    assert (change.kind, change.since) == (Kind.STILL, 3)
    assert change.inputs == {"kernel": ("6.12", "6.14"), "qemu": ("7", None), "new": (None, "1")}


def test_a_failure_that_passes_when_it_is_run_again_has_failed():
    (change,) = changes([night(1, a=OK), night(2, a=(BAD, OK))], {})
    assert change.kind is Kind.NEW
    text = "\n".join(lines(night(2, a=(BAD, OK)), [change]))
    assert "new failure: a, and passed when it was run again" in text
    assert "kernel: 6.12 -> 6.13" in text


@pytest.mark.parametrize(
    ("outcomes", "known", "code"),
    [
        ({"a": OK}, {}, ExitCode.PASS),
        ({"a": OK, "b": BAD}, {}, ExitCode.FAIL),
        ({"a": attempt("ERROR"), "b": BAD}, {}, ExitCode.FAIL),
        ({"a": attempt("ERROR"), "b": BAD}, {"1:FAIL": "url"}, ExitCode.ERROR),
        ({"a": OK, "b": BAD}, {"1:FAIL": "url"}, ExitCode.KNOWN),
        ({}, {}, ExitCode.ERROR),
        ({"a": (attempt("ERROR"), BAD)}, {"1:ERROR": "url"}, ExitCode.FAIL),
        ({"a": (BAD, attempt("FAIL", signature="2"))}, {"1:FAIL": "url"}, ExitCode.FAIL),
    ],
)
def test_the_exit_code(outcomes, known, code):
    now = night(2, **outcomes)
    assert exit_code(now, changes([night(1, a=OK, b=OK), now], known)) is code


def test_what_was_not_run_is_never_good():
    now = replace(night(2, a=OK), asked=("a", "b"))
    found = changes([night(1, a=OK, b=OK), now], {})
    assert now.missing == ("b",)
    assert exit_code(now, found) is ExitCode.ERROR
    assert "not run, so nothing is known of them: b" in list(lines(now, found))
    assert to_json(now, found)["missing"] == ["b"]


def test_a_wrong_dump_is_not_hidden_by_an_error_before():
    now = night(2, a=(attempt("ERROR"), attempt("FAIL")))
    assert now.outcomes["a"].result == "FAIL"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(str(tmp_path / "results.sqlite"))


def test_a_failure_is_known_until_a_day(database, tmp_path):
    recorder, _ = Recorder.begin(database, "night", tmp_path, [])
    recorder.record(report(run("a", "FAIL")))
    recorder.end(State.ENDED)
    with database.session() as session:
        text = known.link(session, "1:console", "https://bugs/7", datetime(2026, 12, 1))
        assert text == "1:console:tool-failed:line N: it failed"
        assert issues(session, datetime(2026, 11, 30)) == {text: "https://bugs/7"}
        assert issues(session, datetime(2026, 12, 2)) == {}
        (listed,) = known.signatures(session)
        assert (listed.runs, listed.url) == (1, "https://bugs/7")
        history = nights(session, "night")
        (change,) = changes(history, issues(session, datetime(2026, 11, 30)))
        assert change.issue == "https://bugs/7"
        assert to_json(history[-1], [change])["changes"][0]["issue"] == "https://bugs/7"
        assert known.unlink(session, text) == text
        with pytest.raises(UsageError, match="not known anywhere"):
            known.unlink(session, text)
        with pytest.raises(UsageError, match="no failure had"):
            known.link(session, "2:", "url", None)


def test_nights_by_their_number(database, tmp_path):
    with database.session() as session, pytest.raises(UsageError, match="no series") as caught:
        nights(session, "night")
    assert caught.value.hint == "known series: none"
    for _ in range(3):
        Recorder.begin(database, "night", tmp_path, [])[0].end(State.ENDED)
    with database.session() as session:
        assert [one(session, "night", number).number for number in (0, -1, 2)] == [3, 2, 2]
        assert [each.number for each in nights(session, "night", 2)] == [2, 3]
        for number in (4, -3):
            with pytest.raises(UsageError, match="has no night"):
                one(session, "night", number)


def test_what_most_likely_has_one_cause_is_told_once():
    before = {name: attempt(kernel="6.12", disk=name) for name in "abcdefghijkl"}
    bad = {name: attempt("FAIL", kernel="6.13", disk=f"{name}2") for name in "abcdefghijk"}
    history = [night(1, **before), night(2, **bad, l=attempt("FAIL", signature="1:other"))]
    first, second = alike(changes(history, {}))
    assert [change.name for change in first.changes] == list("abcdefghijk")
    assert first.inputs == {"kernel": ("6.12", "6.13")}, "what all have in common"
    assert [change.name for change in second.changes] == ["l"]
    said = list(lines(history[-1], changes(history, {})))
    assert said[1] == "new failure: 11 scenarios: a, b, c, d, e, f, g, h and 3 more"
    assert said[2:4] == ["  FAIL: what happened", "  signature: 1:FAIL"]
    assert "    kernel: 6.12 -> 6.13" in said
    assert sum(line.startswith("new failure") for line in said) == 2


def test_what_is_known_elsewhere_or_flaky_is_not_alike():
    bad, ok = attempt("FAIL"), attempt()
    history = [night(1, a=ok, b=ok, c=ok), night(2, a=bad, b=bad, c=(bad, ok))]
    groups = alike(changes(history, {}))
    assert [[change.name for change in group.changes] for group in groups] == [["a", "b"], ["c"]]
    fixed = alike(changes([*history, night(3, a=ok, b=ok, c=ok)], {}))
    assert [[change.name for change in group.changes] for group in fixed] == [["a", "b", "c"]]
