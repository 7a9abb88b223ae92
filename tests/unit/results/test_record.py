"""What is recorded of a batch, as its runs end."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from harness.errors import HostError, UsageError
from harness.report.runs import ReportedRun
from harness.results.database import Database
from harness.results.nights import night, nights
from harness.results.record import AGAIN, Recorder, State, abandon, flat
from harness.results.tables import Inputs, Run, Signature
from tests.support.runs.nights import report, run


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(str(tmp_path / "results.sqlite"))


@pytest.fixture
def recorder(database: Database, tmp_path: Path) -> Recorder:
    made, evidence = Recorder.begin(database, "night", tmp_path, list("abcd"))
    assert evidence == tmp_path / "night" / "0001"
    return made


def test_each_run_is_recorded_once_when_it_has_ended(database, recorder):
    skipped = ReportedRun("c", Path("c.toml"), None, "again", skipped="not finished yet")
    recorder.record(report(run("a"), skipped))
    recorder.record(report(run("a"), run("b", "FAIL"), skipped))
    recorder.record(report(run("a"), run("b", "FAIL"), run("d", "INTERRUPTED")))
    with database.session() as session:
        found = night(session, "night", 0)
        assert list(found.outcomes) == ["a", "b"]
        assert found.outcomes["a"].first.metrics == {"seconds.dump": 5.0, "seconds.boot": 5.0}
        checks = session.scalars(select(Run).where(Run.name == "b")).one().checks
        assert {check.name: (check.state, check.findings) for check in checks} == {
            "pages": ("passed", 0),
            "console": ("failed", 1),
        }


def test_equal_inputs_and_signatures_are_there_once(database, recorder):
    recorder.record(report(*(run(name, "FAIL") for name in "abc"), run("d", inputs={"QEMU": "8"})))
    with database.session() as session:
        assert len(session.scalars(select(Inputs)).all()) == 2
        assert len(session.scalars(select(Signature)).all()) == 1


def test_a_repetition_is_beside_the_first_run(database, recorder):
    recorder.record(report(run("a", "FAIL")))
    recorder.record(report(run("a")), AGAIN)
    with database.session() as session:
        outcome = night(session, "night", 0).outcomes["a"]
    assert [each.result for each in outcome.attempts] == ["FAIL", "PASS"]
    assert not outcome.passed
    assert outcome.is_flaky


def test_a_night_that_was_killed_goes_on(database, recorder, tmp_path):
    recorder.record(report(run("a"), run("b", "ERROR")))
    found = Recorder.unfinished(database, "night")
    assert found is not None
    again, evidence = found
    assert evidence == tmp_path / "night" / "0001"
    again.record(report(run("a", kept=True), run("b"), run("c")))
    again.end(State.ENDED)
    with database.session() as session:
        (only,) = nights(session, "night")
    assert {name: each.result for name, each in only.outcomes.items()} == dict.fromkeys(
        "abc", "PASS"
    )
    assert only.state == "ended"
    assert Recorder.unfinished(database, "night") is None


def test_paths_of_the_host_are_no_inputs():
    told = {"dump kernel": {"sha256": "ab", "vmlinux": {"path": "/x/y"}}, "zipl": None, "QEMU": 7}
    assert flat(told) == {"dump kernel.sha256": "ab", "QEMU": "7"}


def test_a_number_is_never_taken_twice(database, tmp_path):
    (tmp_path / "night/0007").mkdir(parents=True)
    recorder, evidence = Recorder.begin(database, "night", tmp_path, [])
    assert (recorder.number, evidence.name) == (8, "0008")
    other = Database.open(str(tmp_path / "other.sqlite"))
    assert Recorder.begin(other, "night", tmp_path, [])[0].number == 9


def test_two_scenarios_of_one_name_are_refused(database, tmp_path):
    with pytest.raises(UsageError, match="two scenarios have the name a"):
        Recorder.begin(database, "night", tmp_path, ["a", "b", "a"])
    assert not (tmp_path / "night").exists()


def test_a_night_of_another_host_is_left_alone(database, recorder, monkeypatch):
    monkeypatch.setattr("harness.results.record.platform.node", lambda: "elsewhere")
    with pytest.raises(HostError, match="night 1 of night runs on") as caught:
        Recorder.unfinished(database, "night")
    assert "abandon 1" in (caught.value.hint or "")
    abandon(database, "night", 1)
    assert Recorder.unfinished(database, "night") is None
    with pytest.raises(UsageError, match="has ended"):
        abandon(database, "night", 1)
