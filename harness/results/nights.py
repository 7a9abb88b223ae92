"""Ask the database about nights: what each run came to, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from harness.errors import UsageError
from harness.report.verdict import Result
from harness.results.tables import Batch, Issue, Run

PASS, FAIL = str(Result.PASS), str(Result.FAIL)


@dataclass(frozen=True)
class Attempt:
    """One run of a scenario. ``inputs`` are versions and digests by name."""

    result: str
    seconds: float
    headline: str
    signature: str | None
    evidence: str | None
    replay: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.result == PASS


@dataclass(frozen=True)
class Outcome:
    """All attempts of one scenario in one night, the first one first.

    A repetition never makes a failure good: if the first attempt failed, so has the scenario.
    """

    name: str
    attempts: tuple[Attempt, ...]

    @property
    def first(self) -> Attempt:
        return self.attempts[0]

    @property
    def passed(self) -> bool:
        return all(attempt.passed for attempt in self.attempts)

    @property
    def failures(self) -> tuple[Attempt, ...]:
        """The attempts that did not pass; a wrong dump before an error of the host."""
        failed = (attempt for attempt in self.attempts if not attempt.passed)
        return tuple(sorted(failed, key=lambda attempt: attempt.result != FAIL))

    @property
    def bad(self) -> Attempt:
        """The attempt that says most of what is wrong; the first one if all passed."""
        return next(iter(self.failures), self.first)

    @property
    def result(self) -> str:
        return self.bad.result

    @property
    def is_flaky(self) -> bool:
        """Whether it passed and did not pass in one night, with equal inputs."""
        results = {attempt.passed for attempt in self.attempts}
        inputs = [attempt.inputs for attempt in self.attempts]
        return len(results) == 2 and all(each == inputs[0] for each in inputs)


class BisectionState(StrEnum):
    """What bisecting a failure has come to."""

    FOUND = "found"
    AMBIGUOUS = "ambiguous"  # the commits between could not be tried
    TIME_UP = "time up"
    REFUSED = "refused"  # good is not good, or bad is not bad
    ERROR = "error"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Bisected:
    """The answer, with the first bad commit or all candidates; ``text`` says it for people."""

    state: BisectionState
    text: str
    commits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Night:
    """One batch of a series, with the outcome of each scenario by name.

    ``asked`` are the names of those that it was to run. ``bisections`` are by scenario.
    """

    series: str
    number: int
    started: datetime
    ended: datetime | None
    state: str
    host: str
    evidence: str
    outcomes: Mapping[str, Outcome]
    asked: tuple[str, ...] = ()
    pinned: bool = False
    bisections: Mapping[str, Bisected] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """What was to run and has no result: the night was interrupted, or still runs."""
        return tuple(name for name in self.asked if name not in self.outcomes)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes.values() if not outcome.passed)


class Kind(StrEnum):
    """What a scenario's outcome is, compared with the night before."""

    NEW = "new failure"
    ANOTHER = "fails otherwise"  # with another signature than before
    STILL = "still fails"
    FIXED = "fixed"
    GONE = "not run"
    ADDED = "not run before"

    @property
    def is_failure(self) -> bool:
        return self in (Kind.NEW, Kind.ANOTHER, Kind.STILL)

    @property
    def is_old(self) -> bool:
        """Whether it was told before."""
        return self is Kind.STILL


@dataclass(frozen=True)
class Change:
    """One scenario that is not as the night before, or still fails.

    ``since`` is the number of the first night of which it has failed without a break. ``inputs``
    tell which inputs are others than when it last passed: before, and now. ``issue`` is where it
    is known. ``last_passed`` is the number of the night in which it last passed.
    """

    kind: Kind
    name: str
    outcome: Outcome | None
    since: int | None = None
    inputs: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    issue: str | None = None
    last_passed: int | None = None
    bisected: Bisected | None = None


def series_names(session: Session) -> list[str]:
    return sorted(session.scalars(select(Batch.series).distinct()))


def nights(session: Session, series: str, last: int | None = None) -> list[Night]:
    """The nights of a series, oldest first; only the ``last`` ones if that is given.

    Raises UsageError if there is no such series.
    """
    newest = select(Batch).where(Batch.series == series).order_by(Batch.number.desc())
    found = session.scalars(
        newest.limit(last).options(
            selectinload(Batch.runs).selectinload(Run.inputs),
            selectinload(Batch.runs).selectinload(Run.signature),
            selectinload(Batch.runs).selectinload(Run.metrics),
            selectinload(Batch.bisections),
        )
    ).all()
    if not found:
        known = ", ".join(series_names(session)) or "none"
        raise UsageError(f"there is no series {series}", hint=f"known series: {known}")
    return [_night(batch) for batch in reversed(found)]


def night(session: Session, series: str, number: int) -> Night:
    """One night; a ``number`` below 1 counts from the last one back: 0 is the last one.

    Raises UsageError if there is no such night.
    """
    if number < 1:
        found = nights(session, series, 1 - number)
        if len(found) == 1 - number:
            return found[0]
    else:
        for each in nights(session, series):
            if each.number == number:
                return each
    raise UsageError(f"series {series} has no night {number}")


def issues(session: Session, at: datetime) -> dict[str, str]:
    """Where each signature is known at that time."""
    found = session.scalars(select(Issue).options(selectinload(Issue.signature)))
    return {
        issue.signature.text: issue.url
        for issue in found
        if issue.until is None or issue.until >= at
    }


def changes(history: Sequence[Night], known: Mapping[str, str]) -> list[Change]:
    """What the last night of ``history`` (oldest first) has that the one before did not have.

    ``known`` tells where a signature is known. Scenarios that pass as before are left out.
    """
    now, earlier = history[-1], history[:-1]
    before = earlier[-1] if earlier else None
    names = dict.fromkeys((*now.outcomes, *(before.outcomes if before else ())))
    found = (_change(name, now, before, earlier, known) for name in names)
    order = list(Kind)
    return sorted((each for each in found if each), key=lambda each: order.index(each.kind))


@dataclass(frozen=True)
class Alike:
    """Changes of one kind that have one signature: most likely with one cause.

    ``inputs`` are the changed inputs that all of them share.
    """

    changes: tuple[Change, ...]

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def inputs(self) -> Mapping[str, tuple[str | None, str | None]]:
        return {
            name: pair
            for name, pair in self.first.inputs.items()
            if all(each.inputs.get(name) == pair for each in self.changes)
        }


def alike(found: Sequence[Change]) -> list[Alike]:
    """``found``, those together that need to be told only once."""
    groups: dict[Hashable, list[Change]] = {}
    for each in found:
        outcome = each.outcome if each.kind.is_failure else None
        key = (
            *(each.kind, each.since, each.issue, each.bisected),
            None if outcome is None else (outcome.bad.signature, outcome.is_flaky),
        )
        groups.setdefault(key, []).append(each)
    return [Alike(tuple(group)) for group in groups.values()]


def compared(
    session: Session, series: str, number: int, at: datetime
) -> tuple[Night, list[Change]]:
    """A night, numbered as for :func:`night`, and what it has that the one before did not have.

    ``at`` is the time for which issues are known.
    """
    chosen = night(session, series, number)
    history = [each for each in nights(session, series) if each.number <= chosen.number]
    return chosen, changes(history, issues(session, at))


def _change(
    name: str,
    now: Night,
    before: Night | None,
    earlier: Sequence[Night],
    known: Mapping[str, str],
) -> Change | None:
    outcome = now.outcomes.get(name)
    former = before.outcomes.get(name) if before else None
    if outcome is None:
        return Change(Kind.GONE, name, None)
    if outcome.passed:
        if former is not None and not former.passed:
            return Change(Kind.FIXED, name, outcome)
        return Change(Kind.ADDED, name, outcome) if before and former is None else None
    kind = Kind.NEW
    if former is not None and not former.passed:
        same = former.bad.signature == outcome.bad.signature
        kind = Kind.STILL if same else Kind.ANOTHER
    last = next((each for each in reversed(earlier) if _passed(each, name)), None)
    inputs = {}
    if last is not None:
        inputs = differing(last.outcomes[name].first.inputs, outcome.bad.inputs)
    places = [known.get(attempt.signature or "") for attempt in outcome.failures]
    issue = None if None in places else places[0]
    return Change(
        kind,
        name,
        outcome,
        _since(name, now, earlier),
        inputs,
        issue,
        None if last is None else last.number,
        now.bisections.get(name),
    )


def _passed(night: Night, name: str) -> bool:
    return name in night.outcomes and night.outcomes[name].passed


def _since(name: str, now: Night, earlier: Sequence[Night]) -> int:
    """The first night from which on it has always failed; nights without it do not count."""
    since = now.number
    for each in reversed(earlier):
        if name not in each.outcomes:
            continue
        if each.outcomes[name].passed:
            break
        since = each.number
    return since


def differing(
    before: Mapping[str, str], now: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """The inputs that are not equal: before, and now."""
    return {
        name: (before.get(name), now.get(name))
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    }


def _night(batch: Batch) -> Night:
    grouped: dict[str, list[Run]] = {}
    for run in batch.runs:
        grouped.setdefault(run.name, []).append(run)
    outcomes = {name: Outcome(name, _attempts(runs)) for name, runs in grouped.items()}
    return Night(
        batch.series,
        batch.number,
        batch.started,
        batch.ended,
        batch.state,
        batch.host,
        batch.evidence,
        outcomes,
        tuple(batch.asked),
        batch.pinned,
        {
            row.name: Bisected(BisectionState(row.state), row.text, tuple(row.commits))
            for row in batch.bisections
        },
    )


def _attempts(runs: Iterable[Run]) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            run.result,
            run.seconds,
            run.headline,
            None if run.signature is None else run.signature.text,
            run.evidence,
            run.replay,
            {} if run.inputs is None else run.inputs.content,
            {metric.name: metric.value for metric in run.metrics},
        )
        for run in sorted(runs, key=lambda run: run.attempt)
    )
