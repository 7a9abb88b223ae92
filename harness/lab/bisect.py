"""Find the commit that broke dumping, with ``git bisect``; remember every answer."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import BuildError, ProtocolError, UsageError
from harness.files.json_file import as_model, read_object
from harness.files.plain_file import is_there
from harness.host.fault import unusable
from harness.host.tools import find_tool
from harness.images.kernel.source import revision_of

STATE = "bisect.json"
_FOUND = re.compile("is the first '?bad'? commit")  # quoted by git from 2.55 on
_ONLY_SKIPPED = "only 'skip'ped commits left"
_WORKTREE = "git"


class Answer(IntEnum):
    """The answer for a commit; the values are the exit codes for ``git bisect run``."""

    GOOD = 0
    BAD = 1
    SKIP = 125


@dataclass(frozen=True)
class Step:
    """One commit that was tried; ``why`` is what was wrong with it, or why there is no answer."""

    commit: str
    subject: str
    answer: Answer
    why: str
    seconds: float
    evidence: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"answer": self.answer.name.lower()}


@dataclass(frozen=True)
class Result:
    """``first_bad`` is one commit, or several if the commits between them could not be tried."""

    first_bad: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass
class Memory:
    """The question and the answers so far, in the file ``bisect.json`` of a directory.

    A resumed bisection starts again, and takes known answers from here.
    """

    directory: Path
    question: dict[str, Any]
    steps: dict[str, Step] = field(default_factory=dict)

    @classmethod
    def open(cls, directory: Path, question: dict[str, Any]) -> Memory:
        """The memory in ``directory``, or a new one.

        Raises UsageError if it belongs to another question, EvidenceError if it cannot be read.
        """
        file = directory / STATE
        if not is_there(file):
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise unusable(str(directory), error, hint="--output DIR") from error
            return cls(directory, question)
        state = as_model(_State, read_object(file), file)
        steps = [Step(**{**dict(each), "answer": _answer(each)}) for each in state.steps]
        asked = state.question
        if asked != question:
            other = next(key for key in {*asked, *question} if asked.get(key) != question.get(key))
            raise UsageError(
                f"{file} is of another bisection: {other} was {asked.get(other)}",
                hint="name another directory with --output, or remove this one",
            )
        return cls(directory, question, {step.commit: step for step in steps})

    def add(self, step: Step) -> None:
        """Remember an answer; a kill at any time loses none."""
        self.steps[step.commit] = step
        steps = [each.to_json() for each in self.steps.values()]
        text = json.dumps({"question": self.question, "steps": steps}, indent=1)
        new = self.directory / f"{STATE}.new"
        new.write_text(text + "\n")
        new.rename(self.directory / STATE)


class _Step(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    commit: str = Field(pattern="^[0-9a-f]{40,64}$")
    subject: str
    answer: Literal["good", "bad", "skip"]
    why: str
    seconds: float = Field(ge=0, allow_inf_nan=False)
    evidence: str | None = None


class _State(BaseModel):
    """The shape of the file."""

    question: dict[str, Any]
    steps: list[_Step]


def _answer(step: _Step) -> Answer:
    return Answer[step.answer.upper()]


class Repository:
    """A git repository; its work tree and a bisection under way in it stay as they are."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def commit(self, revision: str) -> str:
        """The full name of a commit; raises UsageError if there is none."""
        return revision_of(self.path, f"{revision}^{{commit}}", hint=None)

    def subject(self, commit: str) -> str:
        """Its one-line description."""
        return self._git("show", "--no-patch", "--format=%s", commit).stdout.strip()

    @contextmanager
    def bisection(self, directory: Path, good: str, bad: str) -> Iterator[Bisection]:
        """Use an empty work tree below ``directory``, which is removed in the end."""
        place = (directory / _WORKTREE).resolve()  # git is at work somewhere else
        self._remove(place)
        self._must("worktree", "add", "--quiet", "--no-checkout", "--detach", str(place), bad)
        try:
            yield Bisection(Repository(place), good, bad)
        finally:
            self._remove(place)

    def _remove(self, place: Path) -> None:
        self._git("worktree", "remove", "--force", str(place))

    def _must(self, *words: str) -> str:
        run = self._git(*words)
        if run.returncode:
            raise BuildError(f"git {words[0]}: {(run.stderr or run.stdout).strip()}")
        return run.stdout

    def _git(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [find_tool("git"), "-C", str(self.path), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def bisect(self, *words: str) -> str:
        """Run ``git bisect``; raises UsageError with git's message if it refuses."""
        run = self._git("bisect", *words)
        said = (run.stdout + run.stderr).strip()
        if run.returncode and _ONLY_SKIPPED not in said:
            raise UsageError(f"git bisect {words[0]}: {said}")
        return said

    def refs(self, pattern: str) -> list[str]:
        """The commits of all references that match."""
        return self._git("for-each-ref", "--format=%(objectname)", pattern).stdout.split()

    def between(self, good: list[str], bad: str) -> list[str]:
        """Commits that ``bad`` has and ``good`` have not, newest first."""
        return self._git("rev-list", bad, *(f"^{each}" for each in good)).stdout.split()


class Bisection:
    """A ``git bisect`` under way: try ``current`` until ``first_bad`` has the result."""

    def __init__(self, repository: Repository, good: str, bad: str) -> None:
        self._git = repository
        said = repository.bisect("start", "--no-checkout", bad, good)
        self._done = self._is_done(said)

    @property
    def current(self) -> str | None:
        """The commit to try next; None at the end."""
        return None if self._done else self._git.commit("BISECT_HEAD")

    def mark(self, answer: Answer) -> None:
        """Tell git the answer for the current commit."""
        self._done = self._is_done(self._git.bisect(answer.name.lower()))

    @property
    def first_bad(self) -> tuple[str, ...]:
        """The first bad commit, or all candidates if some commits could not be tried."""
        (bad,) = self._git.refs("refs/bisect/bad")
        skipped = set(self._git.refs("refs/bisect/skip-*"))
        left = self._git.between(self._git.refs("refs/bisect/good-*"), bad)
        return tuple(each for each in left if each == bad or each in skipped)

    def _is_done(self, said: str) -> bool:
        return bool(_FOUND.search(said)) or _ONLY_SKIPPED in said


def bisect(
    repository: Repository,
    good: str,
    bad: str,
    memory: Memory,
    try_commit: Callable[[str], Step],
) -> Result:
    """Find the first bad commit after ``good`` up to ``bad``; both are tried first.

    Raises UsageError if ``good`` is not good, ``bad`` is not bad, or the order is wrong.
    """

    def answer(commit: str) -> Step:
        if commit not in memory.steps:
            memory.add(try_commit(commit))
        return memory.steps[commit]

    for end, expected in ((good, Answer.GOOD), (bad, Answer.BAD)):
        step = answer(end)
        if step.answer is not expected:
            said = {Answer.GOOD: "good", Answer.BAD: "bad", Answer.SKIP: "neither good nor bad"}
            raise UsageError(
                f"{end[:12]} was said to be {said[expected]}, but is {said[step.answer]}"
                + (f": {step.why}" if step.why else ""),
                hint=f"evidence: {step.evidence}" if step.evidence else None,
            )
    with repository.bisection(memory.directory, good, bad) as bisection:
        marked: set[str] = set()
        while (commit := bisection.current) is not None:
            if commit in marked:
                raise ProtocolError(f"git bisect asks for {commit} again, and was told")
            marked.add(commit)
            bisection.mark(answer(commit).answer)
        return Result(bisection.first_bad, tuple(memory.steps.values()))
