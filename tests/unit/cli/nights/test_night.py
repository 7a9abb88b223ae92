"""zharness night: runs, repetitions, a kill, an interrupt, and what is told in the morning."""

from __future__ import annotations

import fcntl
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli.app import app
from harness.cli.batch import hosts
from harness.cli.batch.run import run_all
from harness.cli.nights import night_run
from harness.errors import EvidenceError, HostError, UsageError
from harness.report.runs import Report
from harness.results.database import Database
from harness.results.nights import nights
from harness.results.record import Recorder
from harness.run.batch.local_run import on_this_host
from tests.support.runs import fake_worker

Zharness = Callable[..., int]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with scenarios of fake workers, and a database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZHARNESS_RESULTS", str(tmp_path / "results.sqlite"))
    monkeypatch.setattr("harness.cli.commands.nights.night.default_nights", lambda: tmp_path / "n")
    for name in ("passing", "failing", "erring"):
        (tmp_path / f"{name}.toml").write_text("description = 'x'\n")
    command = [sys.executable, fake_worker.__file__]
    monkeypatch.setattr(hosts, "on_this_host", lambda: on_this_host(command))
    return tmp_path


@pytest.fixture
def zharness() -> Zharness:
    def call(*arguments: object) -> int:
        return app([str(each) for each in arguments], standalone_mode=False) or 0

    return call


def history(here: Path) -> list[dict[str, list[str]]]:
    database = Database.open(str(here / "results.sqlite"))
    with database.session() as session:
        return [
            {
                name: [attempt.result for attempt in outcome.attempts]
                for name, outcome in night.outcomes.items()
            }
            for night in nights(session, "night")
        ]


def test_a_good_night(zharness, here, capsys):
    assert zharness("night", "run", "passing.toml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["night"], told["state"], told["failed"]) == (1, "ended", [])
    assert history(here) == [{"passing": ["PASS"]}]


def test_by_default_all_scenarios_of_the_harness_run_wherever_it_is_called(zharness, monkeypatch):
    asked: list[str] = []

    def run_night(series: str, scenarios: Any, *_: object, **__: object) -> int:
        asked.extend(concrete.name for concrete in scenarios)
        raise HostError("enough")

    monkeypatch.setattr(night_run, "run_night", run_night)
    with pytest.raises(HostError, match="enough"):
        zharness("night", "run")
    assert len(asked) > 40
    assert {"panic", "quick"} <= set(asked)


def test_what_fails_is_run_again_and_both_results_are_kept(zharness, here, capsys):
    assert zharness("night", "run", "passing.toml", "failing.toml", "--again", 2) == 1
    out = capsys.readouterr().out
    assert "new failure: failing" in out
    assert history(here) == [{"passing": ["PASS"], "failing": ["FAIL"] * 3}]
    assert (here / "n/night/0001/again-3/failing").is_dir()


def test_a_known_failure_has_an_exit_code_of_its_own(zharness, here, capsys):
    assert zharness("night", "run", "failing.toml", "--again", 0) == 1
    assert zharness("issue", "link", "1:", "https://bugs/7") == 0
    assert zharness("night", "run", "failing.toml", "--again", 0) == 4
    assert zharness("night", "diff") == 4
    assert "still fails since night 1: failing, known: https://bugs/7" in capsys.readouterr().out
    assert zharness("issue", "list") == 0
    assert zharness("issue", "unlink", "1:") == 0
    assert zharness("night", "diff", 2) == 1
    with pytest.raises(UsageError, match="is over"):
        zharness("issue", "link", "1:", "url", "--until", "2020-01-01")


def test_a_failure_that_no_commit_can_have_brought_is_told_with_the_reason(zharness, capsys):
    assert zharness("night", "run", "failing.toml", "--bisect", "06:30") == 1
    assert "not bisected: no kernel of it is built from a commit" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["6", "24:00", "06:60", "06:30:00", ""])
def test_a_time_of_the_day_is_hours_and_minutes(zharness, text):
    with pytest.raises(typer.BadParameter):
        zharness("night", "run", "failing.toml", "--bisect", text)


def test_an_error_of_the_host_is_no_wrong_dump(zharness):
    assert zharness("night", "run", "erring.toml") == 3


def test_a_night_that_was_killed_goes_on(zharness, here, monkeypatch, capsys):
    def killed(*_: object, **__: object) -> None:
        raise MemoryError  # no error of ours: nobody ends the night

    with monkeypatch.context() as patch:
        patch.setattr(night_run, "_finish", killed)
        with pytest.raises(MemoryError):
            zharness("night", "run", "passing.toml", "failing.toml")
    assert zharness("night", "run", "passing.toml", "failing.toml") == 1
    assert "night 1 of night was not ended: go on with it" in capsys.readouterr().err
    assert history(here) == [{"passing": ["PASS"], "failing": ["FAIL", "FAIL"]}]


def killed_in_the_repetition(monkeypatch: pytest.MonkeyPatch, zharness: Zharness) -> None:
    real = night_run._finish

    def killed(recorder: Recorder, report: Report, attempt: int) -> None:
        if attempt > 1:
            raise MemoryError
        real(recorder, report, attempt)

    with monkeypatch.context() as patch:
        patch.setattr(night_run, "_finish", killed)
        with pytest.raises(MemoryError):
            zharness("night", "run", "passing.toml", "failing.toml", "erring.toml")


def test_a_kill_in_the_repetition_changes_no_first_result(zharness, here, monkeypatch):
    killed_in_the_repetition(monkeypatch, zharness)
    assert zharness("night", "run", "passing.toml", "failing.toml", "erring.toml") == 1
    assert history(here) == [
        {"passing": ["PASS"], "failing": ["FAIL"] * 2, "erring": ["ERROR"] * 2}
    ]


def test_another_request_begins_another_night(zharness, here, monkeypatch, capsys):
    killed_in_the_repetition(monkeypatch, zharness)
    assert zharness("night", "run", "passing.toml") == 0
    assert "begin another one" in capsys.readouterr().err
    assert [sorted(night) for night in history(here)] == [
        ["erring", "failing", "passing"],
        ["passing"],
    ]


def test_a_rerun_after_a_kill_takes_another_place(zharness, here, monkeypatch):
    killed_in_the_repetition(monkeypatch, zharness)
    assert zharness("night", "abandon", 1) == 0
    assert zharness("night", "rerun") == 1
    assert (here / "n/night/0001/again-3").is_dir()


def test_with_another_database_nothing_old_is_taken_for_new(zharness, here):
    assert zharness("night", "run", "passing.toml") == 0
    (here / "results.sqlite").unlink()
    assert zharness("night", "run", "passing.toml") == 0
    assert sorted(path.name for path in (here / "n/night").glob("0*")) == ["0001", "0002"]


def test_one_process_at_a_time_runs_a_series(zharness, here):
    (here / "n/night").mkdir(parents=True)
    with (here / "n/night/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(HostError, match="another process runs a night"):
            zharness("night", "run", "passing.toml")
        assert zharness("night", "run", "passing.toml", "--series", "other") == 0


@pytest.mark.parametrize("name", ["../x", "/abs", "a/b", "", ".hidden", "x" * 101])
def test_a_series_is_a_plain_name(zharness, name):
    with pytest.raises(typer.BadParameter):
        zharness("night", "run", "passing.toml", "--series", name)


def test_an_interrupt_ends_a_night_with_what_it_has(zharness, here, monkeypatch):
    def interrupted(*given: Any, **options: Any) -> Report:
        return replace(run_all(*given, **options), interrupted=signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(night_run, "run_all", interrupted)
        assert zharness("night", "run", "passing.toml", "failing.toml") == 130
    assert history(here) == [{"passing": ["PASS"], "failing": ["FAIL"]}]
    assert zharness("night", "run", "passing.toml") == 0
    assert len(history(here)) == 2, "the next one is another night"


def test_a_host_without_room_starts_nothing(zharness, here, monkeypatch):
    monkeypatch.setattr(night_run, "_SPARE", 1 << 60)
    assert zharness("night", "run", "passing.toml", "--again", 0) == 3
    assert history(here) == [{"passing": ["ERROR"]}]


def test_a_database_that_fails_for_a_while_ends_no_night(zharness, here, monkeypatch):
    real, calls = Recorder.record, []

    def record(self: Recorder, *given: object) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise HostError("database is locked")
        real(self, *given)

    monkeypatch.setattr(Recorder, "record", record)
    assert zharness("night", "run", "passing.toml") == 0
    assert history(here) == [{"passing": ["PASS"]}]


def test_what_is_told_of_many_nights(zharness, here, capsys):
    for _ in range(2):
        zharness("night", "run", "passing.toml", "failing.toml", "--again", 0)
    capsys.readouterr()
    assert zharness("night", "list", "--json") == 0
    assert [night["failed"] for night in json.loads(capsys.readouterr().out)] == [1, 1]
    assert zharness("night", "trend", "--json") == 0
    assert json.loads(capsys.readouterr().out)["slower"] is False
    assert zharness("night", "flakes") == 0
    assert "no scenario" in capsys.readouterr().out
    for command in ("list", "trend"):
        assert zharness("night", command) == 0
    assert zharness("night", "report", "report.html") == 0
    assert "<title>night, night 2" in (here / "report.html").read_text()
    capsys.readouterr()
    assert zharness("night", "report", "report") == 0
    assert capsys.readouterr().out == "report: 2 nights of night, 3 runs\n"
    assert "runs/2-1-failing.html" in (here / "report/index.html").read_text()
    page = (here / "report/runs/2-1-failing.html").read_text()
    assert "page 0x1000 differs" in page
    assert "cannot be used" not in page


def test_a_batch_that_was_run_without_a_database_is_imported(zharness, here, capsys):
    assert zharness("night", "run", "passing.toml", "failing.toml", "--again", 0) == 1
    moved = here / "moved"
    (here / "n/night/0001/runs").rename(moved)
    assert zharness("night", "import", moved, "--series", "old") == 0
    assert "night 1 of old: 2 runs" in capsys.readouterr().out
    assert zharness("night", "diff", "--series", "old") == 1
    assert zharness("night", "prune", "--series", "old", "--nights", 0) == 0
    assert moved.is_dir(), "it is no night's own"
    (moved / "passing/verdict.json").unlink()
    with pytest.raises(EvidenceError, match="passing was PASS"):
        zharness("night", "import", moved)


def test_an_import_drops_no_failure(zharness, here):
    runs = [
        {"name": "never started", "verdict": "ERROR", "error": "no room", "file": "a.toml"},
        {"name": "not valid", "verdict": "USAGE", "error": "no such field", "file": "b.toml"},
        {"name": "not run", "verdict": "SKIPPED", "error": "interrupted", "file": "c.toml"},
    ]
    (here / "batch").mkdir()
    (here / "batch/report.json").write_text(json.dumps({"runs": runs, "seconds": 1}))
    assert zharness("night", "import", here / "batch") == 0
    assert history(here) == [{"never started": ["ERROR"], "not valid": ["USAGE"]}]
    assert zharness("night", "diff") == 3


def test_what_failed_is_run_once_more_later(zharness, here, capsys):
    zharness("night", "run", "passing.toml", "failing.toml", "--again", 1)
    assert zharness("night", "rerun") == 1
    assert history(here) == [{"passing": ["PASS"], "failing": ["FAIL"] * 3}]
    zharness("night", "run", "passing.toml", "--series", "good")
    with pytest.raises(UsageError, match="everything passed"):
        zharness("night", "rerun", "--series", "good")


def test_what_did_not_pass_is_packed_and_pruned(zharness, here, capsys):
    def add_memory(number: int) -> Path:
        run = here / f"n/night/{number:04}/runs/failing"
        (run / "crash").mkdir(exist_ok=True)
        (run / "run.json").write_text("{}")
        (run / "crash/ram.img").write_bytes(b"memory" * 50_000)
        return run

    zharness("night", "run", "passing.toml", "failing.toml", "--again", 0)
    run = add_memory(1)
    zharness("night", "run", "passing.toml", "--again", 0)
    assert not (run / "crash/ram.img").exists(), "of an earlier night, too"
    assert zharness("night", "unpack", run) == 0
    assert (run / "crash/ram.img").read_bytes() == b"memory" * 50_000
    zharness("night", "rerun", 1)
    assert not (run / "crash/ram.img").exists()
    (run / "packed.json").unlink()
    capsys.readouterr()
    assert zharness("night", "prune", "--size", 0, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "the first or last with one" in said
    assert "packs that no run needs then: 0.0 MB" in said
    assert len(list((here / "n/night/pages/packs").iterdir())) == 1
    assert zharness("night", "prune") == 0
    assert list((here / "n/night/pages/packs").iterdir()) == []


def test_evidence_that_cannot_be_packed_stays_and_the_night_is_good(zharness, here, capsys):
    zharness("night", "run", "passing.toml", "failing.toml", "--again", 0)
    run = here / "n/night/0001/runs/failing"
    (run / "run.json").write_text("{}")
    (run / "crash").mkdir(exist_ok=True)
    (run / "crash/ram.img").write_bytes(b"memory" * 50_000)
    (run / "packed.json").write_text("{")
    assert zharness("night", "run", "passing.toml", "--again", 0) == 0
    assert "failing is not packed" in capsys.readouterr().err
    assert (run / "crash/ram.img").exists()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("junit", '<testcase name="failing"'),
        ("ktap", "not ok 2 failing # XFAIL https://bugs/7"),
        ("summary", "| new failure | failing | FAIL |"),
        ("kcidb", '"path": "zfcpdump.failing"'),
        ("mail", "Subject: night, night 1: 1 of 2 did not pass"),
    ],
)
def test_other_programs_get_a_night_too(zharness, here, capsys, form, said):
    zharness("night", "run", "passing.toml", "failing.toml", "--again", 0)
    zharness("issue", "link", "1:", "https://bugs/7")
    capsys.readouterr()
    assert zharness("night", "export", form) == 0
    assert said in capsys.readouterr().out


def test_a_pinned_night_stays(zharness, here, capsys):
    for _ in range(3):
        zharness("night", "run", "passing.toml")
    assert zharness("night", "pin", 1) == 0
    assert zharness("night", "prune", "--nights", 1, "--dry-run") == 0
    assert len(list((here / "n/night").glob("0*"))) == 3
    assert zharness("night", "prune", "--nights", 1) == 0
    assert sorted(path.name for path in (here / "n/night").glob("0*")) == ["0001", "0003"]
    with pytest.raises(UsageError, match="has no night 9"):
        zharness("night", "pin", 9)


@pytest.mark.parametrize("text", ["{}", '{"runs": 3, "seconds": 1}', '{"runs": [3], "seconds": 1}'])
def test_a_report_of_others_that_makes_no_sense(zharness, here, text):
    (here / "batch").mkdir()
    (here / "batch/report.json").write_text(text)
    with pytest.raises(Exception, match=r"report\.json"):
        zharness("night", "import", here / "batch")
