"""Try whether dumping works with the kernel of one commit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import BuildError, HostError
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.provide import Images
from harness.images.store import Store
from harness.lab.bisect import Answer, Repository, Step
from harness.progress import Progress
from harness.report.signature import signature_of
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.inputs import wanted
from harness.run.plan import Plan, plan_of
from harness.scenario.load import Overrides, load


@dataclass(frozen=True)
class Trying:
    """How a commit is tried: its kernel in one role, a fixed kernel in the other, ``repeat`` times.

    Only a finding that matches ``finding``, or a run with this ``signature``, makes it bad; by
    default any wrong dump does. ``fixed`` is the other role's kernel, None for the scenario's own.
    ``given`` are overrides of the scenario, ``time_factor`` multiplies every deadline. ``run`` does
    one run.
    """

    repository: Repository
    role: Role
    scenario: str
    output: Path
    store: Store
    progress: Progress
    finding: str | None = None
    repeat: int = 1
    fixed: Path | None = None
    signature: str | None = None
    given: Overrides = field(default_factory=dict)
    time_factor: float = 1.0
    run: Callable[..., Verdict] = engine.run

    def question(self) -> dict[str, Any]:
        """Everything that the answers depend on, except the commits."""
        fixed = self.fixed and Images(self.store, self.progress).given_kernel(self.fixed)
        return {
            "role": str(self.role),
            "scenario": {
                "name": self.scenario,
                **load(self.scenario, self.given).model_dump(mode="json"),
            },
            "finding": self.finding,
            "repeat": self.repeat,
            "fixed": fixed and fixed.sha256,
            **({} if self.signature is None else {"signature": self.signature}),
        }

    def try_commit(self, commit: str) -> Step:
        """Good if all dumps are right, bad if one is wrong, skipped if there is no answer.

        Raises HostError if this host is at fault; then there is no answer to remember.
        """
        start = time.monotonic()
        answer, why, evidence = self._answer(commit)
        seconds = round(time.monotonic() - start, 1)
        subject = self.repository.subject(commit)
        return Step(commit, subject, answer, why, seconds, evidence)

    def _answer(self, commit: str) -> tuple[Answer, str, str | None]:
        source = f"{self.repository.path}@{commit}"
        images = Images(self.store, self.progress)
        plan = self._plan(source)
        images.provide(wanted(plan))  # a fault of this host is not an answer
        try:
            images.own_kernel(self._spec(plan))
        except BuildError as error:
            return Answer.SKIP, error.message, None
        wrong: list[tuple[str, str]] = []
        errors: list[tuple[str, str]] = []
        for number in range(1, self.repeat + 1):
            verdict = self._run(source, self.output / f"{commit[:12]}-{number}")
            if verdict.cause == HostError.__name__:
                raise HostError(verdict.error or "", hint=verdict.hint)
            if verdict.result is Result.ERROR:
                errors.append((verdict.error or "", str(verdict.directory)))
            if verdict.result is Result.FAIL:
                wrong.append((self._decisive(verdict), str(verdict.directory)))
        decisive = [(why, evidence) for why, evidence in wrong if why]
        if decisive:
            why, evidence = decisive[0]
            times = len(decisive)
            often = "" if times == self.repeat else f" ({times} of {self.repeat} dumps)"
            return Answer.BAD, f"{why}{often}", evidence
        if errors:
            return Answer.SKIP, *errors[0]
        if wrong:
            return Answer.SKIP, f"wrong, but not with '{self._wanted}'", wrong[0][1]
        return Answer.GOOD, "", None

    def _spec(self, plan: Plan) -> KernelSpec:
        """The kernel of the commit; the scenario tells which system runs on one that crashes."""
        scenario = plan.scenario
        return scenario.crashed.kernel_spec if self.role.crashes else scenario.dump.kernel_spec

    def _plan(self, source: str) -> Plan:
        other = Role.DUMP if self.role.crashes else Role.CRASHED
        sections: dict[str, dict[str, Any]] = {
            self.role.section: {"source": source},
            other.section: {} if self.fixed is None else {"kernel": self.fixed},
        }
        own = {name: {**self.given.get(name, {}), **fields} for name, fields in sections.items()}
        scenario = load(self.scenario, {**self.given, **own})
        return plan_of(self.scenario, scenario, time_factor=self.time_factor)

    def _run(self, source: str, output: Path) -> Verdict:
        plan = self._plan(source)
        # each run crashes anew only if the crashing kernel is the one that is bisected
        fresh = self.role.crashes and self.repeat > 1
        return self.run(
            plan, output=_fresh(output), store=self.store, progress=self.progress, fresh=fresh
        )

    @property
    def _wanted(self) -> str | None:
        """What makes a commit bad, for people."""
        return self.finding or self.signature

    def _decisive(self, verdict: Verdict) -> str:
        """The finding that makes the dump count as bad; "" if there is none."""
        said = map(str, verdict.findings)
        if self.signature is not None and signature_of(verdict) != self.signature:
            return ""
        return next(
            (each for each in said if self.finding is None or re.search(self.finding, each)), ""
        )


def _fresh(output: Path) -> Path:
    """A path that does not exist yet: an interrupted try may have left a directory."""
    number = 0
    while output.exists():
        number += 1
        output = output.with_name(f"{output.name.partition('~')[0]}~{number}")
    return output
