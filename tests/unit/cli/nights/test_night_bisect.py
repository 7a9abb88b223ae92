"""New failures are bisected in a real git repository; the answer of a commit is in its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.cli.batch.run import Chosen
from harness.cli.nights.night_bisect import bisect_new, until
from harness.deadline import Deadline
from harness.errors import HostError
from harness.lab.bisect import Answer, Repository, Step
from harness.lab.commit import Trying
from harness.results.database import Database
from harness.results.known import link
from harness.results.nights import Bisected, BisectionState, compared
from harness.results.page.chosen import Links
from harness.results.page.index import index_page
from harness.results.record import Recorder, State, now
from harness.results.told import lines, to_json
from harness.run.options import RunOptions
from harness.scenario.load import Concrete, load_all
from tests.support.git import git, history
from tests.support.runs.nights import report, run

GOOD_AT_FIRST = ["good"] * 5 + ["bad"] * 8
LONG = 3600.0


@dataclass
class Nights:
    """A series on a database of its own; the scenarios take a kernel from a branch."""

    root: Path
    commits: list[str]
    asked: list[str] = field(default_factory=list)
    kernel: str = "dump kernel"

    def __post_init__(self) -> None:
        self.database = Database.open(str(self.root / "results.sqlite"))

    def scenario(self, name: str, section: str = "dump") -> Concrete:
        path = self.root / f"{name}.toml"
        path.write_text(f'description = "x"\n[{section}]\nsource = "{self.root}/linux@main"\n')
        return load_all(str(path))[0]

    def passed(self, *names: str, commit: str | None = None) -> None:
        self.record(*(run(name, inputs=self.inputs(commit or self.commits[0])) for name in names))

    def failed(self, *names: str, commit: str | None = None, result: str = "FAIL") -> Recorder:
        inputs = self.inputs(commit or self.commits[-1])
        return self.record(*(run(name, result, inputs=inputs) for name in names))

    def inputs(self, commit: str) -> dict[str, Any]:
        return {self.kernel: {"sha256": commit[:8], "commit": commit}}

    def record(self, *runs: Any) -> Recorder:
        names = [each.name for each in runs]
        recorder, _ = Recorder.begin(self.database, "night", self.root / "n", names)
        recorder.record(report(*runs))
        recorder.end(State.ENDED)
        return recorder

    def bisect(self, recorder: Recorder, *scenarios: Concrete, seconds: float = LONG) -> None:
        evidence = self.root / f"n/night/{recorder.number:04}"
        chosen = Chosen({}, self.root / "store", RunOptions(), json=True)
        bisect_new(recorder, scenarios, chosen, evidence, Deadline(seconds))

    def answers(self) -> dict[str, Bisected | None]:
        with self.database.session() as session:
            _, changes = compared(session, "night", 0, now())
        return {change.name: change.bisected for change in changes}

    def answer(self) -> Bisected:
        (only,) = self.answers().values()
        assert only is not None
        return only


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Nights]:
    def made(*answers: str, took: float = 1.0, **changed: Any) -> Nights:
        commits = history(tmp_path / "linux", list(answers or GOOD_AT_FIRST))
        nights = Nights(tmp_path, commits, **changed)

        def try_commit(self: Trying, commit: str) -> Step:
            nights.asked.append(commit)
            what = git(tmp_path / "linux", "show", f"{commit}:what")
            if what == "host":
                raise HostError("no space left")
            subject = Repository(tmp_path / "linux").subject(commit)
            return Step(commit, subject, Answer[what.upper()], "", took)

        monkeypatch.setattr(Trying, "try_commit", try_commit)
        return nights

    return made


def test_the_first_bad_commit_is_told_in_the_morning(made):
    nights = made()
    nights.passed("a")
    nights.bisect(nights.failed("a"), nights.scenario("a"))
    found = nights.answer()
    assert (found.state, found.commits) == (BisectionState.FOUND, (nights.commits[5],))
    with nights.database.session() as session:
        night, changes = compared(session, "night", 0, now())
    said = f"first bad commit: {nights.commits[5][:12]} commit 5 (dump kernel, 6 commits tried)"
    assert f"  {said}" in list(lines(night, changes))
    (change,) = to_json(night, changes)["changes"]
    assert change["bisected"] == {"state": "found", "commits": [nights.commits[5]], "text": said}
    assert said in index_page([night], {}, Links())


def test_one_signature_and_range_is_bisected_once(made):
    nights = made()
    nights.passed("a", "b")
    nights.bisect(nights.failed("a", "b"), nights.scenario("a"), nights.scenario("b"))
    assert len(nights.asked) == len(set(nights.asked))
    assert {each.commits for each in nights.answers().values() if each} == {(nights.commits[5],)}


def test_the_commit_is_that_of_the_last_pass(made):
    nights = made()
    nights.passed("a", commit=nights.commits[2])
    nights.record(run("another"))
    nights.bisect(nights.failed("a"), nights.scenario("a"))
    assert nights.asked[:2] == [nights.commits[2], nights.commits[-1]]


def test_the_kernel_that_crashes_is_bisected_too(made):
    nights = made(kernel="crashed kernel")
    nights.passed("a")
    nights.bisect(nights.failed("a"), nights.scenario("a", "crashed"))
    assert "(crashed kernel" in nights.answer().text


def test_after_a_kernel_that_is_not_at_fault_comes_the_other(made, monkeypatch):
    nights = made()
    both = f'[dump]\nsource = "{nights.root}/linux@main"\n[crashed]\nsource = "{nights.root}/linux"'
    (nights.root / "a.toml").write_text(f'description = "x"\n{both}\n')
    scenario = load_all(str(nights.root / "a.toml"))[0]

    def inputs(commit: str) -> dict[str, Any]:
        return {f"{role} kernel": {"commit": commit} for role in ("dump", "crashed")}

    really = Trying.try_commit

    def never_the_dump_kernel(self: Trying, commit: str) -> Step:
        step = really(self, commit)
        bad = Step(commit, step.subject, Answer.BAD, "", 1.0)
        return step if self.role.crashes else bad

    monkeypatch.setattr(Trying, "try_commit", never_the_dump_kernel)
    nights.record(run("a", inputs=inputs(nights.commits[0])))
    failed = nights.record(run("a", "FAIL", inputs=inputs(nights.commits[-1])))
    nights.bisect(failed, scenario)
    assert nights.answer().commits == (nights.commits[5],)
    assert "(crashed kernel" in nights.answer().text


def test_what_is_known_is_not_bisected(made):
    nights = made()
    nights.passed("a")
    failed = nights.failed("a")
    with nights.database.session() as session:
        link(session, "1:", "https://bugs/7", None)
    nights.bisect(failed, nights.scenario("a"))
    assert nights.answers() == {"a": None}


def test_what_failed_before_is_not_bisected_again(made):
    nights = made()
    nights.passed("a")
    nights.failed("a")
    nights.bisect(nights.failed("a"), nights.scenario("a"))
    assert nights.asked == []


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_no_time_is_left(made, seconds):
    nights = made()
    nights.passed("a")
    nights.bisect(nights.failed("a"), nights.scenario("a"), seconds=seconds)
    assert nights.asked == []
    assert nights.answer().state is BisectionState.TIME_UP
    assert "0 commits tried, the first bad commit is one of 12" in nights.answer().text


def test_a_try_that_would_not_end_in_time_is_not_begun_and_it_tells_how_far_it_came(made):
    nights = made(took=LONG)
    nights.passed("a")
    nights.bisect(nights.failed("a"), nights.scenario("a"), seconds=LONG)
    assert nights.asked == nights.commits[:1]
    assert "1 commit tried, the first bad commit is one of 12" in nights.answer().text


def test_with_more_time_it_goes_on(made):
    nights = made(took=LONG)
    nights.passed("a")
    failed = nights.failed("a")
    for _ in range(6):
        nights.bisect(failed, nights.scenario("a"), seconds=LONG + 60)
        nights.asked.append("again")
    assert nights.asked.count(nights.commits[0]) == 1


@pytest.mark.parametrize(
    ("answers", "state", "words"),
    [
        (["good", "skip", "skip", "bad"], BisectionState.AMBIGUOUS, "is one of 3"),
        (["bad", "bad"], BisectionState.REFUSED, "was said to be good, but is bad"),
        (["good", "good"], BisectionState.REFUSED, "was said to be bad, but is good"),
        (["good", "host", "bad"], BisectionState.ERROR, "no space left"),
    ],
)
def test_other_answers(made, answers, state, words):
    nights = made(*answers)
    nights.passed("a")
    nights.bisect(nights.failed("a"), nights.scenario("a"))
    assert nights.answer().state is state
    assert words in nights.answer().text


def test_a_commit_that_is_gone_ends_no_night(made):
    nights = made()
    nights.passed("a", commit="0" * 40)
    nights.bisect(nights.failed("a"), nights.scenario("a"))
    assert nights.answer().state is BisectionState.REFUSED
    assert "no commit '0000" in nights.answer().text


def test_why_nothing_is_bisected(made):
    nights, said = made(), {}
    scenarios = [nights.scenario(name) for name in ("package", "new", "same", "error", "flaky")]
    first, last = nights.inputs(nights.commits[0]), nights.inputs(nights.commits[-1])
    nights.record(
        run("package"),
        run("same", inputs=last),
        run("error", inputs=first),
        run("flaky", inputs=first),
        run("was a package"),
    )
    scenarios.append(nights.scenario("was a package"))
    recorder = nights.record(
        run("package", "FAIL"),
        run("new", "FAIL", inputs=last),
        run("same", "FAIL", inputs=last),
        run("error", "ERROR", inputs=last),
        run("flaky", "FAIL", inputs=last),
        run("was a package", "FAIL", inputs=last),
    )
    recorder.record(report(run("flaky", inputs=last)), 2)
    nights.bisect(recorder, *scenarios)
    for name, answer in nights.answers().items():
        assert answer is not None
        assert answer.state is BisectionState.NOT_TRIED
        said[name] = answer.text.removeprefix("not bisected: ")
    assert said == {
        "package": "no kernel of it is built from a commit of a git repository",
        "new": "it has never passed",
        "same": "its commits are those of night 1, when it passed",
        "error": "ERROR says nothing about a dump",
        "flaky": "it passed when it was run again",
        "was a package": "its kernel was no commit in night 1, when it passed",
    }
    assert nights.asked == []


@pytest.mark.parametrize(
    ("minutes", "seconds"), [(-2, 24 * 3600 - 120), (2, 120), (60, 3600), (600, 36000)]
)
def test_a_time_of_the_day_is_the_next_one(monkeypatch, minutes, seconds):
    monkeypatch.setenv("TZ", "UTC")
    end = (datetime.now() + timedelta(minutes=minutes)).time()
    left = until(time(end.hour, end.minute)).remaining
    assert seconds - 61 <= left <= seconds + 1
