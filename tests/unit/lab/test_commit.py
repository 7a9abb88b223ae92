"""Answers for a commit, from the dumps that were made with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import BuildError, ExitCode, HarnessError, HostError, PhaseTimeout
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.provide import Images
from harness.images.store import Store
from harness.lab.bisect import Answer, Repository
from harness.lab.commit import Trying
from harness.lab.trial import Trial, worst
from harness.progress import NoProgress
from harness.report.signature import signature_of
from harness.report.verdict import Result, Verdict
from harness.verify.findings import CheckResult
from harness.verify.kinds import FindingKind
from tests.support.git import history

PAGES, REGISTERS = "pages", "registers"  # what was wrong
RIGHT, NO_SPACE = "", HostError("no space left")
HANGS = PhaseTimeout("crash", "a prompt", 60)
Run = str | HarnessError


class Engine:
    """Runs that end as they are told to."""

    def __init__(self, *runs: Run) -> None:
        self.runs, self.fresh = list(runs), list[bool]()

    def run(self, plan: Any, *, output: Path, fresh: bool, **rest: Any) -> Verdict:
        self.fresh.append(fresh)
        ended = self.runs.pop(0)
        if isinstance(ended, HarnessError):
            return Verdict.trouble(ended, "crash", directory=output)
        if not ended:
            return Verdict(Result.PASS, output)
        check = CheckResult.failed(ended, "things", FindingKind.UNREADABLE, "wrong")
        return Verdict(Result.FAIL, output, checks=(check,))


@pytest.fixture
def trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    history(tmp_path / "linux", ["good"])
    repository = Repository(tmp_path / "linux")

    def trying(*runs: Run, role: Role = Role.DUMP, **more: Any) -> tuple[Trying, Engine]:
        engine, store = Engine(*runs), Store(tmp_path / "store", NoProgress())
        monkeypatch.setattr(Images, "provide", lambda self, wanted: None)
        monkeypatch.setattr(Images, "own_kernel", lambda self, spec: None)
        made = Trying(
            repository,
            role,
            "quick",
            tmp_path,
            store,
            NoProgress(),
            repeat=len(runs),
            run=engine.run,
            **more,
        )
        return made, engine

    return trying


def tried(trying: Trying) -> tuple[Answer, str]:
    step = trying.try_commit(trying.repository.commit("HEAD"))
    return step.answer, step.why


@pytest.mark.parametrize(
    ("runs", "answer", "why"),
    [
        ([RIGHT, RIGHT], Answer.GOOD, ""),
        ([PAGES], Answer.BAD, "pages: wrong"),
        ([RIGHT, PAGES, PAGES], Answer.BAD, "pages: wrong (2 of 3 dumps)"),
        ([HANGS], Answer.SKIP, HANGS.message),
        ([RIGHT, HANGS], Answer.SKIP, HANGS.message),
        ([PAGES, HANGS], Answer.BAD, "pages: wrong (1 of 2 dumps)"),
        ([HANGS, PAGES], Answer.BAD, "pages: wrong (1 of 2 dumps)"),
    ],
)
def test_runs_make_the_answer_for_a_commit(trying, runs: list[Run], answer: Answer, why: str):
    assert tried(trying(*runs)[0]) == (answer, why)


@pytest.mark.parametrize(
    ("runs", "answer", "why"),
    [
        ([PAGES], Answer.SKIP, "wrong, but not with '^registers'"),
        ([REGISTERS, PAGES, PAGES], Answer.BAD, "registers: wrong (1 of 3 dumps)"),
    ],
)
def test_one_finding_is_looked_for(trying, runs: list[Run], answer: Answer, why: str):
    assert tried(trying(*runs, finding="^registers")[0]) == (answer, why)


@pytest.mark.parametrize(("signature", "answer"), [(True, Answer.BAD), (False, Answer.SKIP)])
def test_one_signature_is_looked_for(trying, signature: bool, answer: Answer):
    failed = Engine(PAGES).run(None, output=Path("x"), fresh=False)
    wanted = signature_of(failed) if signature else "1:other"
    assert tried(trying(PAGES, signature=wanted)[0])[0] is answer


def test_overrides_hold_for_every_commit(trying):
    given = {"dump": {"source": "other", "hsa_size": 1 << 26}, "crashed": {"smp": 3}}
    made, _ = trying(RIGHT, given=given, time_factor=4.0)
    plan = made._plan("/linux@x")
    assert (plan.scenario.dump.source, plan.scenario.dump.hsa_size) == ("/linux@x", 1 << 26)
    assert (plan.scenario.crashed.smp, plan.time_factor) == (3, 4.0)


@pytest.mark.parametrize("runs", [[NO_SPACE], [RIGHT, NO_SPACE], [PAGES, NO_SPACE]])
def test_a_fault_of_the_host_is_not_the_commits_fault(trying, runs: list[Run]):
    with pytest.raises(HostError, match="no space left"):
        tried(trying(*runs)[0])


def test_a_commit_that_does_not_build_is_skipped(trying, monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: object) -> None:
        raise BuildError("make: error")

    made, _ = trying(RIGHT)
    monkeypatch.setattr(Images, "own_kernel", broken)
    assert tried(made) == (Answer.SKIP, "make: error")


def test_a_missing_tool_is_not_an_answer(trying, monkeypatch: pytest.MonkeyPatch):
    def lacking(*arguments: object) -> None:
        raise HostError("no mirror")

    made, _ = trying(RIGHT)
    monkeypatch.setattr(Images, "provide", lacking)
    monkeypatch.setattr(Images, "own_kernel", lambda *_: pytest.fail("it is asked before"))
    with pytest.raises(HostError, match="no mirror"):
        tried(made)


@pytest.mark.parametrize(
    ("role", "anew"), [(Role.CRASHED, True), (Role.SYSTEM, True), (Role.DUMP, False)]
)
def test_a_kernel_that_crashes_does_so_each_time(trying, role: Role, anew: bool):
    made, engine = trying(RIGHT, RIGHT, role=role)
    tried(made)
    assert engine.fresh == [anew, anew]


@pytest.mark.parametrize(("role", "built"), [(Role.CRASHED, Role.CRASHED), (Role.DUMP, Role.DUMP)])
def test_the_kernel_that_the_scenario_asks_for_is_built(
    trying, monkeypatch: pytest.MonkeyPatch, role: Role, built: Role
):
    asked: list[KernelSpec] = []
    made, _ = trying(RIGHT, role=role)
    monkeypatch.setattr(Images, "own_kernel", lambda self, spec: asked.append(spec))
    tried(made)
    commit = made.repository.commit("HEAD")
    assert asked == [KernelSpec(built, f"{made.repository.path}@{commit}")]


def test_the_question_has_the_scenarios_content(trying):
    question = trying(RIGHT)[0].question()
    assert question["scenario"]["crashed"]["trigger"] == "sysrq-c"
    assert question["fixed"] is None


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([Result.PASS, Result.PASS], ExitCode.PASS),
        ([Result.FAIL, Result.PASS], ExitCode.FAIL),
        ([Result.FAIL, Result.ERROR], ExitCode.ERROR),
        ([], ExitCode.PASS),
    ],
)
def test_the_worst_of_several_trials(results: list[Result], code: ExitCode):
    trials = [Trial("k", 1 << 25, each, None, None, None, {}, (), "") for each in results]
    assert worst(trials) is code
