"""Many fake workers: their messages, their ends, and the order in which they wait."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.errors import HostError, UsageError
from harness.phase import Phase
from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Result
from harness.run.batch import loop as batch
from harness.run.batch.items import Item
from harness.run.batch.job import RunJob
from harness.run.batch.local_run import on_this_host
from harness.run.batch.loop import run_batch
from harness.run.batch.messages import AtTask, ConsoleLine
from harness.run.batch.running import HERE, Lost
from harness.run.batch.schedule import Tokens
from harness.run.options import RunOptions
from harness.run.plan import Plan
from harness.scenario.model import Scenario
from tests.support import FAKE_WORKER
from tests.support.runs.played_runs import PlayedRun, PlayedRuns

FAKE = (sys.executable, str(FAKE_WORKER))
ROOM = {HERE: Tokens(8, 2)}


@dataclass
class Watched:
    """Remembers what it was told, and does something at a tick."""

    events: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    at_tick: object = lambda: None

    def started(self, number: int, item: Item) -> None:
        self.events.append(("started", item.name))

    def at(self, number: int, task: AtTask) -> None:
        self.tasks.append(task.what)

    def console(self, number: int, line: ConsoleLine) -> None:
        self.lines.append(line.line)

    def ended(self, number: int, run: ReportedRun) -> None:
        self.events.append(("ended", run.name))

    def lost(self, number: int, host: str, why: str) -> None:
        self.events.append(("lost", host))

    def tick(self) -> None:
        self.at_tick()

    def names(self, event: str) -> list[str]:
        return [name for what, name in self.events if what == event]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def items(tmp_path: Path):
    def make(*whats: str, crash: str | None = None, cpus: int = 1, keep: bool = False):
        return [
            Item(
                name=what,
                file=Path("x.toml"),
                job=RunJob(
                    Plan(what, Scenario(description="x")),
                    tmp_path / "out" / str(number),
                    tmp_path / "store",
                    RunOptions(keep=keep),
                    consoles=True,
                ),
                tokens=Tokens(1, cpus),
                replay="from the evidence",
                again="anew",
                crash=crash,
            )
            for number, what in enumerate(whats)
        ]

    return make


@pytest.fixture
def run(watched: Watched):
    def go(items: list[Item], **options) -> Report:
        descriptors = set(Path("/proc/self/fd").iterdir())
        handler = signal.getsignal(signal.SIGINT)
        try:
            start = options.pop("start", None) or on_this_host(FAKE, options.pop("limit", None))
            return run_batch(items, options.pop("rooms", ROOM), watched, start, **options)
        finally:
            assert set(Path("/proc/self/fd").iterdir()) == descriptors
            assert signal.getsignal(signal.SIGINT) is handler

    return go


def results(report: Report) -> list[str]:
    return [run.result for run in report.runs]


def interrupt_once(watched: Watched, *files: Path) -> None:
    """Ctrl-C as soon as those files are there."""

    def strike() -> None:
        if all(file.exists() for file in files):
            watched.at_tick = lambda: None
            os.kill(os.getpid(), signal.SIGINT)

    watched.at_tick = strike


def test_the_largest_run_starts_first(run, items, watched):
    sizes = {"passing": 1, "failing": 3, "erring": 2}
    asked = [replace(item, tokens=Tokens(sizes[item.name], 1)) for item in items(*sizes)]
    run(asked, rooms={HERE: Tokens(3, 2)})
    assert watched.names("started") == ["failing", "erring", "passing"]


def test_reports_are_in_the_order_of_the_request(run, items, watched, tmp_path):
    report = run(items("waiting:started-2", "failing", "passing", "erring"))
    assert results(report) == ["PASS", "FAIL", "PASS", "ERROR"]
    assert [each.name for each in report.runs] == [
        "waiting:started-2",
        "failing",
        "passing",
        "erring",
    ]
    assert watched.names("ended")[0] == "failing"
    assert watched.names("started") == ["waiting:started-2", "failing", "passing", "erring"]
    assert not report.interrupted
    failed, error = report.runs[1].verdict, report.runs[3].verdict
    assert failed.findings[0].message == "page 0x1000 differs"
    assert (error.error, error.hint, error.phase) == ("no prompt", "look", "boot")


def test_messages_of_workers_are_passed_on(run, items, watched):
    run(items("passing"))
    assert watched.lines == ["hello"]
    assert watched.tasks == ["boot it, in other words"]


def test_a_worker_that_tells_much_is_heard_to_the_end(run, items, watched):
    assert results(run(items("telling_much", "telling_much"))) == ["PASS", "PASS"]
    assert len(watched.lines) == 2 * 20001


class DeathFirst(selectors.DefaultSelector):
    """Tells of nothing but deaths and interrupts, so that all else must be heard afterwards."""

    def select(self, timeout=None):
        return [
            event
            for event in super().select(timeout)
            if "pipe" not in str(Path(f"/proc/self/fd/{event[0].fd}").readlink())
        ]


def test_messages_of_a_dead_worker_are_read(run, items, watched, monkeypatch):
    monkeypatch.setattr(selectors, "DefaultSelector", DeathFirst)
    assert results(run(items("passing", "failing"))) == ["PASS", "FAIL"]
    assert watched.lines == ["hello", "hello"]


def test_a_terminals_interrupt_does_not_reach_workers(run, items):
    assert results(run(items("being_out_of_the_terminals_reach"))) == ["PASS"]


def test_the_replay_command_needs_what_was_run(run, items):
    report = run(items("passing", "failing"))
    assert [each.replay for each in report.runs] == ["from the evidence", "anew"]


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("dying", "ended by SIGKILL and left no verdict; it said: last words"),
        ("leaving", "ended with exit status 7 and left no verdict; it said: nothing"),
        ("half_saying", "ended with exit status 0 and left no verdict; it said: nothing"),
        ("speaking_garbage", "said what is no message: b'Hello, this is no JSON'"),
        ("speaking_nonsense", "not a verdict: verdict: must be"),
    ],
)
def test_a_worker_without_a_verdict_is_an_error_that_says_why(run, items, tmp_path, what, how):
    report = run(items("passing", what, "passing"))
    assert results(report) == ["PASS", "ERROR", "PASS"]
    verdict = report.runs[1].verdict
    assert how in verdict.error
    assert verdict.phase == "boot"
    evidence = tmp_path / "out/1"
    assert json.loads((evidence / "verdict.json").read_bytes()) == verdict.to_json()
    assert not (evidence / "disk.img").exists()
    assert (verdict.hint == f"see {evidence / 'worker.log'}") == (what == "dying")


def test_a_usage_error_of_a_worker_has_no_evidence(run, items, tmp_path):
    report = run(items("refusing", "passing"))
    assert results(report) == ["USAGE", "PASS"]
    assert report.exit_code == 2
    refused = report.runs[0]
    assert (refused.error, refused.hint) == ("no such kernel", "look")
    assert refused.directory is None
    assert not (tmp_path / "out/0").exists()


def test_no_evidence_is_named_that_is_not_there(run, items, tmp_path):
    report = run(items("failing", "passing", cpus=2), fail_fast=True)
    assert [each.directory for each in report.runs] == [tmp_path / "out/0", None]


def test_the_disk_of_a_dead_worker_stays_on_request(run, items, tmp_path):
    run(items("dying", keep=True))
    assert (tmp_path / "out/0/disk.img").exists()


def test_what_a_worker_writes_to_standard_error_is_kept(run, items, tmp_path):
    assert results(run(items("warning", "passing"))) == ["PASS", "PASS"]
    assert (tmp_path / "out/0/worker.log").read_text() == "a warning\n"
    assert not (tmp_path / "out/1/worker.log").exists()


@pytest.mark.parametrize("what", ["hanging", "hanging_silently", "ignoring_interrupts"])
def test_a_worker_that_hangs_is_killed_in_the_end(run, items, what):
    report = run(items(what), limit=0.5)
    assert results(report) == ["ERROR"]
    assert "the run had not ended after 0 s; it was at: " in report.runs[0].verdict.error


def test_a_worker_that_cannot_be_started_is_an_error(items, watched, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    report = run_batch(items("passing", "passing", "passing"), ROOM, watched, on_this_host(FAKE))
    assert results(report) == ["ERROR"] * 3
    assert "setpriv" in report.runs[0].headline


def test_no_more_run_at_once_than_there_is_room_for(run, items, watched):
    assert results(run(items("passing", "failing", "passing", cpus=2))) == ["PASS", "FAIL", "PASS"]
    assert [what for what, _ in watched.events] == ["started", "ended"] * 3


def test_one_that_never_fits_is_refused_before_anything_runs(run, items, watched):
    with pytest.raises(HostError, match=r"passing takes .* 3 CPUs"):
        run(items("passing", cpus=3))
    assert watched.events == []


def test_runs_that_share_a_crash_wait_for_it(run, items, watched):
    shared = items("waiting_after_its_crash:started-2", "passing", "passing", crash="one")
    assert results(run(shared)) == ["PASS"] * 3
    first, second = watched.names("started")[:2]
    assert (first, second) == ("waiting_after_its_crash:started-2", "passing")


def test_the_phase_alone_releases_those_that_wait(run, items, watched):
    """Whatever the words are that people see."""
    runs = PlayedRuns()
    seen: list[list[str]] = []

    def tick() -> None:
        seen.append(watched.names("started"))
        match len(seen):
            case 1:
                runs.of("first").tell(AtTask("dump IPL from the SCSI disk", ""))
            case 2:
                runs.of("first").tell(AtTask("words that nobody knows", ""))
                runs.of("first").tell(Phase.IPL)
            case 4:
                for each in runs.runs:
                    each.end(Result.PASS)

    watched.at_tick = tick
    assert results(run(items("first", "second", crash="one"), start=runs)) == ["PASS", "PASS"]
    # the tick comes after what was heard, and before another is started
    assert seen[:4] == [["first"], ["first"], ["first"], ["first", "second"]]


def test_a_crash_that_fails_is_tried_by_the_next(run, items, watched):
    assert results(run(items("erring", "dying", "passing", crash="one"))) == [
        "ERROR",
        "ERROR",
        "PASS",
    ]
    assert [what for what, _ in watched.events] == ["started", "ended"] * 3


@pytest.mark.parametrize("what", ["failing", "erring", "dying"])
def test_fail_fast_starts_nothing_after_the_first_that_fails(run, items, watched, what):
    report = run(items(what, "passing", "passing", cpus=2), fail_fast=True)
    assert results(report) == ["FAIL" if what == "failing" else "ERROR", "SKIPPED", "SKIPPED"]
    assert {each.skipped for each in report.runs[1:]} == {batch.AFTER_FAILURE}
    assert {each.replay for each in report.runs[1:]} == {"anew"}
    assert watched.names("started") == [what]


def test_with_fail_fast_those_that_run_already_finish(run, items):
    report = run(items("waiting:1/verdict.json", "dying", "passing"), fail_fast=True)
    assert results(report) == ["PASS", "ERROR", "SKIPPED"]


def test_an_interrupt_ends_everything_and_reports_what_had_finished(run, items, watched, tmp_path):
    interrupt_once(watched, tmp_path / "out/started-1", tmp_path / "out/started-2")
    report = run(items("passing", "hanging", "hanging", "passing"))
    assert report.interrupted
    assert results(report) == ["PASS", "INTERRUPTED", "INTERRUPTED", "SKIPPED"]
    assert report.runs[3].skipped == batch.NOT_STARTED
    assert not (tmp_path / "out/1/disk.img").exists()
    assert json.loads((tmp_path / "out/1/verdict.json").read_bytes())["verdict"] == "INTERRUPTED"


def test_a_verdict_that_comes_with_the_interrupt_counts(run, items, watched, tmp_path):
    interrupt_once(watched, tmp_path / "out/ready-0")
    report = run(items("concluding_when_interrupted"))
    assert report.interrupted
    assert results(report) == ["PASS"]


def test_a_worker_that_will_not_go_is_killed(run, items, watched, tmp_path):
    interrupt_once(watched, tmp_path / "out/ready-0")
    report = run(items("ignoring_interrupts"), grace=0.5)
    assert report.interrupted
    assert results(report) == ["INTERRUPTED"]


def test_a_second_interrupt_does_not_wait(run, items, watched, tmp_path):
    def strike() -> None:
        if (tmp_path / "out/ready-0").exists():
            os.kill(os.getpid(), signal.SIGINT)

    watched.at_tick = strike
    report = run(items("ignoring_interrupts"), grace=3600.0)
    assert report.interrupted
    assert results(report) == ["INTERRUPTED"]


def test_an_internal_error_leaves_no_worker(run, items, watched, tmp_path):
    def fail() -> None:
        if (tmp_path / "out/started-0").exists():
            raise RuntimeError("display")

    watched.at_tick = fail
    with pytest.raises(RuntimeError, match="display"):
        run(items("hanging", "hanging"))


def test_an_empty_batch_ends_at_once(run):
    assert run([]).runs == ()


def test_runs_that_are_elsewhere_are_told_and_reported_alike(run, items, watched):
    def go(each: PlayedRun) -> None:
        each.tell(AtTask("far away", ""))
        each.tell(ConsoleLine("crash", "hello"))
        each.end(UsageError("nonsense") if each.name == "refused" else Result[each.name])

    runs = PlayedRuns(go)
    report = run(items("PASS", "FAIL", "refused", "unstartable", "ERROR"), start=runs)
    assert results(report) == ["PASS", "FAIL", "USAGE", "ERROR", "ERROR"]
    assert report.runs[3].verdict.error == "no process can be started"
    assert (watched.lines, watched.tasks) == (["hello"] * 4, ["far away"] * 4)
    assert all(each.closed for each in runs.runs)


def test_runs_that_are_elsewhere_are_interrupted(run, items, watched):
    runs = PlayedRuns()
    interrupt_once(watched)
    report = run(items("one", "other", "third"), start=runs)
    assert results(report) == ["INTERRUPTED", "INTERRUPTED", "SKIPPED"]
    assert [each.closed for each in runs.runs] == [True, True]


def losing(*hosts: str, died: bool = True) -> PlayedRuns:
    """Runs that pass, except on these hosts, which are lost."""

    def go(each: PlayedRun) -> None:
        lost = Lost(HostError("no answer", hint="look there"), died)
        each.end(lost if each.host in hosts else Result.PASS)

    return PlayedRuns(go)


def rooms(*hosts: str) -> dict[str, Tokens]:
    return {host: Tokens(1, 1) for host in hosts}


def test_a_run_that_is_lost_with_its_host_runs_on_another(run, items, watched, tmp_path):
    runs = losing("a")
    report = run(items("one", "other", "third"), start=runs, rooms=rooms("a", "b"))
    assert results(report) == ["PASS"] * 3
    assert watched.names("lost") == ["a"]
    assert watched.names("started") == ["one", "other", "one", "third"]
    assert [each.host for each in runs.runs] == ["a", "b", "b", "b"]
    kept = json.loads((tmp_path / "out/0~1/verdict.json").read_bytes())
    assert (kept["verdict"], kept["error"]) == ("ERROR", "a is lost: no answer")


@pytest.mark.parametrize("died", [True, False])
def test_without_a_host_all_that_is_left_is_an_error(run, items, died):
    runs = losing("a", died=died)
    report = run(items("one", "other", "third"), start=runs, rooms=rooms("a"))
    assert results(report) == ["ERROR"] * 3
    assert {each.verdict.error for each in report.runs} == {"a is lost: no answer"}
    assert {each.verdict.hint for each in report.runs} == {"look there"}
    assert [each.verdict.directory.name for each in report.runs] == ["0", "1", "2"]
    assert len(runs.runs) == 1


def test_a_run_that_takes_its_hosts_along_does_not_get_all_of_them(run, items):
    def go(each: PlayedRun) -> None:
        each.end(Lost(HostError("gone"), True) if each.name == "poison" else Result.PASS)

    report = run(items("poison", "good", "good"), start=PlayedRuns(go), rooms=rooms(*"abcd"))
    assert results(report) == ["ERROR", "PASS", "PASS"]


def test_hosts_that_do_not_begin_with_a_run_are_no_reason_to_give_it_up(run, items):
    report = run(items("one"), start=losing(*"abc", died=False), rooms=rooms(*"abcd"))
    assert results(report) == ["PASS"]


def test_after_an_interrupt_a_lost_run_is_not_begun_again(run, items, watched, monkeypatch):
    runs = PlayedRuns()
    interrupt_once(watched)
    monkeypatch.setattr(
        PlayedRun, "interrupt", lambda each, _: each.end(Lost(HostError("gone"), True))
    )
    report = run(items("one", "other"), start=runs, rooms=rooms("a", "b"))
    assert results(report) == ["ERROR", "ERROR"]
    assert len(runs.runs) == 2
