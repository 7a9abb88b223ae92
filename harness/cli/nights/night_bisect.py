"""Bisect the new failures of a night, in what is left of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import options
from harness.cli.say import tell
from harness.deadline import Deadline
from harness.errors import HarnessError, UsageError
from harness.images.kernel.spec import Role
from harness.lab.bisect import Answer, Memory, Repository, Result, Step, bisect
from harness.lab.commit import Trying
from harness.report.verdict import Result as RunResult
from harness.results.nights import Bisected, BisectionState, Change, Kind, compared
from harness.results.record import Recorder, now
from harness.scenario.select import word_for

if TYPE_CHECKING:
    from harness.cli.batch.run import Chosen
    from harness.scenario.load import Concrete

_ROLES = (Role.DUMP, Role.CRASHED)  # the one that dumps is suspected first
_SHOWN = 12  # digits of a commit


def until(end: time) -> Deadline:
    """The next moment at which this host's clock shows ``end``."""
    begin = datetime.now().astimezone()
    moment = datetime.combine(begin.date(), end)
    if moment <= begin.replace(tzinfo=None):
        moment += timedelta(days=1)
    return Deadline(moment.timestamp() - begin.timestamp())


def bisect_new(
    recorder: Recorder,
    scenarios: Sequence[Concrete],
    chosen: Chosen,
    evidence: Path,
    deadline: Deadline,
) -> None:
    """Bisect each new failure that is not known, and record the answer, or why there is none.

    Failures with the same signature, repository and commits are bisected once. A commit is not
    tried if the longest try so far would not end before ``deadline``.
    """
    with recorder.database.session() as session:
        _, found = compared(session, recorder.series, recorder.number, now())
    by_name = {concrete.name: concrete for concrete in scenarios}
    bisecting = _Bisecting(chosen, evidence, deadline)
    for change in found:
        if change.kind is Kind.NEW and change.issue is None and change.name in by_name:
            recorder.bisected(change.name, bisecting.answer(change, by_name[change.name]))


@dataclass(frozen=True)
class Question:
    """Which commit of ``repository`` brought the failure with ``signature``."""

    signature: str
    role: Role
    repository: Path
    good: str
    bad: str

    @property
    def name(self) -> str:
        """Of the directory with its answers: the same whenever it is asked."""
        text = "\0".join(map(str, astuple(self)))
        return f"bisect-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def questions(change: Change, concrete: Concrete) -> Iterator[Question]:
    """One for each kernel that is another commit than when the scenario last passed."""
    assert change.outcome is not None
    signature = change.outcome.bad.signature
    assert signature is not None  # every FAIL has one
    for role in _ROLES:
        before, after = change.inputs.get(_commit(role), (None, None))
        if before is not None and after is not None:
            yield Question(signature, role, _repository(concrete, role), before, after)


def why_not(change: Change) -> str | None:
    """Why nothing can be bisected; None if it can."""
    outcome = change.outcome
    assert outcome is not None
    if not any(_commit(role) in outcome.bad.inputs for role in _ROLES):
        return "no kernel of it is built from a commit of a git repository"
    if change.last_passed is None:
        return "it has never passed"
    if outcome.result != RunResult.FAIL:
        return f"{outcome.result} says nothing about a dump"
    if any(attempt.passed for attempt in outcome.attempts):
        return "it passed when it was run again"
    differing = [change.inputs[_commit(role)] for role in _ROLES if _commit(role) in change.inputs]
    if not differing:
        return f"its commits are those of night {change.last_passed}, when it passed"
    if not any(before and after for before, after in differing):
        return f"its kernel was no commit in night {change.last_passed}, when it passed"
    return None


@dataclass
class _Bisecting:
    """The bisections of one night; ``answers`` are those so far."""

    chosen: Chosen
    evidence: Path
    deadline: Deadline
    answers: dict[Question, Bisected] = field(default_factory=dict)

    def answer(self, change: Change, concrete: Concrete) -> Bisected:
        """Of the first question whose good commit is good, and whose bad one is bad."""
        if (why := why_not(change)) is not None:
            return Bisected(BisectionState.NOT_TRIED, f"not bisected: {why}")
        answers = []
        for question in questions(change, concrete):
            if question not in self.answers:
                self.answers[question] = self._bisect(question, concrete)
            answers.append(self.answers[question])
            if answers[-1].state is not BisectionState.REFUSED:
                return answers[-1]
        return answers[0]

    def _bisect(self, question: Question, concrete: Concrete) -> Bisected:
        tell(
            f"bisect the {question.role} kernel of {concrete.name}: "
            f"{question.good[:_SHOWN]}..{question.bad[:_SHOWN]}"
        )
        try:
            return self._driven(question, concrete)
        except UsageError as error:
            return Bisected(BisectionState.REFUSED, f"not bisected: {error.message}")
        except HarnessError as error:
            return Bisected(BisectionState.ERROR, f"the bisection failed: {error.message}")

    def _driven(self, question: Question, concrete: Concrete) -> Bisected:
        images = options.images(self.chosen.store, json=self.chosen.json)
        tree = Repository(question.repository)
        for commit in (question.good, question.bad):
            tree.commit(commit)  # it may be gone
        place = self.evidence / question.name
        trying = Trying(
            tree,
            question.role,
            word_for(concrete),
            place,
            images.store,
            images.progress,
            signature=question.signature,
            given=self.chosen.overrides,
            time_factor=self.chosen.time_factor,
        )
        asked = {
            "repository": str(tree.path),
            "good": question.good,
            "bad": question.bad,
            **trying.question(),
        }
        memory = Memory.open(place, asked)
        in_time = _in_time(trying.try_commit, memory, self.deadline)
        try:
            result = bisect(tree, question.good, question.bad, memory, in_time)
        except _TimeUpError:
            return _time_up(tree, question, memory)
        return _found(tree, question, result)


class _TimeUpError(Exception):
    """The next try would not end in time."""


def _in_time(
    try_commit: Callable[[str], Step], memory: Memory, deadline: Deadline
) -> Callable[[str], Step]:
    def attempt(commit: str) -> Step:
        longest = max((step.seconds for step in memory.steps.values()), default=0.0)
        if deadline.remaining <= longest:
            raise _TimeUpError
        return try_commit(commit)

    return attempt


def _time_up(tree: Repository, question: Question, memory: Memory) -> Bisected:
    """How far it came."""
    tried = list(memory.steps.values())
    good = [question.good, *(step.commit for step in tried if step.answer is Answer.GOOD)]
    bad = {question.bad, *(step.commit for step in tried if step.answer is Answer.BAD)}
    left = min(len(tree.between(good, commit)) for commit in bad)
    text = (
        f"the time for the bisection of the {question.role} kernel was up: "
        f"{_tried(len(tried))}, the first bad commit is one of {left}"
    )
    return Bisected(BisectionState.TIME_UP, text)


def _found(tree: Repository, question: Question, result: Result) -> Bisected:
    how = f"({question.role} kernel, {_tried(len(result.steps))})"
    commits = result.first_bad
    if len(commits) == 1:
        (commit,) = commits
        text = f"first bad commit: {commit[:_SHOWN]} {tree.subject(commit)} {how}"
        return Bisected(BisectionState.FOUND, text, commits)
    text = f"the first bad commit is one of {len(commits)}, others could not be tried {how}"
    return Bisected(BisectionState.AMBIGUOUS, text, commits)


def _tried(count: int) -> str:
    return f"{count} commit{'' if count == 1 else 's'} tried"


def _commit(role: Role) -> str:
    """The name of an input: see ``Kernel.identity``."""
    return f"{role} kernel.commit"


def _repository(concrete: Concrete, role: Role) -> Path:
    """Of a kernel that is built from a commit."""
    scenario = concrete.scenario
    source = scenario.crashed.source if role.crashes else scenario.dump.source
    assert source is not None
    path = source.rpartition("@")[0] if "@" in source else source
    return Path(path).expanduser().resolve()
