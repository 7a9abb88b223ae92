"""Write the results of a batch into the database, as its runs end."""

from __future__ import annotations

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from harness import __version__
from harness.errors import HostError, UsageError
from harness.report.runs import SKIPPED, Report, ReportedRun
from harness.report.signature import signature_of
from harness.report.verdict import Result, Verdict
from harness.results.database import Database
from harness.results.nights import Bisected
from harness.results.tables import Batch, BisectionRow, Check, Inputs, Metric, Run, Signature

FIRST, AGAIN = 1, 2  # attempts: the run itself, and its repetition if it did not pass
METRIC_OF_PHASE = "seconds."  # before the name of a phase


class State(StrEnum):
    """Of a batch."""

    RUNNING = "running"  # or its process was killed
    ENDED = "ended"
    INTERRUPTED = "interrupted"


def now() -> datetime:
    """UTC, as the database keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass
class Recorder:
    """Records the runs of one batch. Each call of ``record`` is done as a whole."""

    database: Database
    batch_id: int
    _seen: set[tuple[int, str]] = field(default_factory=set)

    @classmethod
    def begin(
        cls, database: Database, series: str, directory: Path, asked: Sequence[str]
    ) -> tuple[Recorder, Path]:
        """A new batch of ``series``, which is to run the scenarios ``asked``.

        Its number is the next one of which neither the database nor ``directory`` knows; its
        evidence goes to ``directory``/SERIES/NUMBER, which is made. Raises UsageError if a name
        comes twice, HostError if the directory cannot be made.
        """
        _require_different(asked)
        place = directory.absolute() / series
        with database.session() as session:
            last = session.scalar(select(func.max(Batch.number)).where(Batch.series == series))
            number = 1 + max(last or 0, _last_directory(place))
            evidence = place / f"{number:04}"
            try:
                evidence.mkdir(parents=True)
            except OSError as error:
                raise HostError(f"{evidence}: {error.strerror}") from error
            return cls(database, _new_batch(session, series, number, evidence, asked)), evidence

    @classmethod
    def unfinished(cls, database: Database, series: str) -> tuple[Recorder, Path] | None:
        """The newest batch of ``series`` that no process has ended, and its evidence.

        Only the holder of the series' lock may ask. Raises HostError if it is of another host,
        where it may still run.
        """
        with database.session() as session:
            found = session.scalar(
                select(Batch)
                .where(Batch.series == series, Batch.state == State.RUNNING)
                .order_by(Batch.number.desc())
                .limit(1)
            )
            if found is None:
                return None
            if found.host != platform.node():
                raise HostError(
                    f"night {found.number} of {series} runs on {found.host}, or was killed there",
                    hint=f"choose another --series, or: zharness night abandon {found.number} "
                    f"--series {series}",
                )
            return cls(database, found.id), Path(found.evidence)

    @classmethod
    def of(cls, database: Database, series: str, number: int) -> Recorder:
        """That of a batch which is there; raises UsageError if it is not."""
        with database.session() as session:
            return cls(database, _batch(session, series, number).id)

    @property
    def number(self) -> int:
        """Of the batch in its series."""
        with self.database.session() as session:
            return session.get_one(Batch, self.batch_id).number

    @property
    def series(self) -> str:
        with self.database.session() as session:
            return session.get_one(Batch, self.batch_id).series

    @property
    def asked(self) -> list[str]:
        """The names of the scenarios that it is to run."""
        with self.database.session() as session:
            return list(session.get_one(Batch, self.batch_id).asked)

    def record(self, report: Report, attempt: int = FIRST) -> None:
        """Add what has ended since.

        Runs that were interrupted or skipped are not recorded: they have not been tested. A run
        that is done again after a kill takes the place of the one before.
        """
        new = [
            run for run in report.runs if _is_result(run) and (attempt, run.name) not in self._seen
        ]
        with self.database.session() as session:
            rows = select(Run).where(Run.batch_id == self.batch_id, Run.attempt == attempt)
            there = {row.name: row for row in session.scalars(rows)} if new else {}
            for run in new:
                former = there.get(run.name)
                if former is not None and run.kept:
                    continue
                if former is not None:
                    session.delete(former)
                    session.flush()
                session.add(_row(session, self.batch_id, run, attempt))
        self._seen |= {(attempt, run.name) for run in new}

    def bisected(self, name: str, answer: Bisected) -> None:
        """Keep what bisecting a new failure of the scenario ``name`` has come to."""
        with self.database.session() as session:
            session.merge(
                BisectionRow(
                    batch_id=self.batch_id,
                    name=name,
                    state=answer.state,
                    commits=list(answer.commits),
                    text=answer.text,
                )
            )

    def end(self, state: State) -> None:
        """The batch has ended, in this way."""
        with self.database.session() as session:
            batch = session.get_one(Batch, self.batch_id)
            batch.state, batch.ended = state, now()

    def unsuccessful(self) -> list[str]:
        """The scenarios whose first run is recorded, and was no PASS."""
        with self.database.session() as session:
            return list(
                session.scalars(
                    select(Run.name).where(
                        Run.batch_id == self.batch_id,
                        Run.attempt == FIRST,
                        Run.result.in_((str(Result.FAIL), str(Result.ERROR))),
                    )
                )
            )


def record_whole(
    database: Database, series: str, evidence: Path, report: Report, started: datetime, host: str
) -> int:
    """Record a batch that has ended, as a whole, as the next one of ``series``; its number."""
    names = [run.name for run in report.runs]
    _require_different(names)
    with database.session() as session:
        last = session.scalar(select(func.max(Batch.number)).where(Batch.series == series))
        number = (last or 0) + 1
        batch_id = _new_batch(session, series, number, evidence.absolute(), names)
        batch = session.get_one(Batch, batch_id)
        batch.started, batch.host = started, host
        batch.state, batch.ended = State.ENDED, now()
        for run in filter(_is_result, report.runs):
            session.add(_row(session, batch_id, run, FIRST))
        return number


def abandon(database: Database, series: str, number: int) -> None:
    """Say that a night was interrupted, because nobody will go on with it.

    Raises UsageError if there is none with that number, or if it has ended.
    """
    with database.session() as session:
        batch = _batch(session, series, number)
        if batch.state != State.RUNNING:
            raise UsageError(f"night {number} of {series} has ended: {batch.state}")
        batch.state, batch.ended = State.INTERRUPTED, now()


def pin(database: Database, series: str, number: int, *, pinned: bool) -> None:
    """Let a night stay, or not; raises UsageError if there is none with that number."""
    with database.session() as session:
        _batch(session, series, number).pinned = pinned


def _require_different(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(
            f"two scenarios have the name {twice[0]}, so their results could not be told apart",
            hint="rename one of the files",
        )


def _last_directory(place: Path) -> int:
    numbers = (path.name for path in place.iterdir()) if place.is_dir() else ()
    return max((int(name) for name in numbers if name.isdecimal()), default=0)


def _new_batch(
    session: Session, series: str, number: int, evidence: Path, asked: Sequence[str]
) -> int:
    batch = Batch(
        series=series,
        number=number,
        started=now(),
        ended=None,
        state=State.RUNNING,
        host=platform.node(),
        harness=__version__,
        evidence=str(evidence),
        asked=list(asked),
    )
    session.add(batch)
    session.flush()
    return batch.id


def _batch(session: Session, series: str, number: int) -> Batch:
    """Raises UsageError if there is none."""
    found = session.scalar(select(Batch).where(Batch.series == series, Batch.number == number))
    if found is None:
        raise UsageError(f"series {series} has no night {number}")
    return found


def _is_result(run: ReportedRun) -> bool:
    return run.result not in (SKIPPED, Result.INTERRUPTED)


def _row(session: Session, batch_id: int, run: ReportedRun, attempt: int) -> Run:
    verdict = run.verdict
    return Run(
        batch_id=batch_id,
        name=run.name,
        file=str(run.file),
        attempt=attempt,
        result=run.result,
        phase=verdict.phase if verdict else None,
        headline=run.headline,
        ended=now(),
        seconds=round(run.seconds, 3),
        evidence=None if run.directory is None else str(run.directory),
        replay=run.replay,
        inputs=_inputs(session, verdict),
        signature=_signature(session, verdict),
        checks=_checks(verdict),
        metrics=_metrics(verdict),
    )


def _inputs(session: Session, verdict: Verdict | None) -> Inputs | None:
    if verdict is None or not verdict.inputs:
        return None
    content = flat(verdict.inputs)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    found = session.scalar(select(Inputs).where(Inputs.digest == digest))
    if found is None:
        found = Inputs(digest=digest, content=content)
        session.add(found)
        session.flush()
    return found


def flat(inputs: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Each input by its name, such as ``dump kernel.sha256``; without paths of the host."""
    found: dict[str, str] = {}
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif value is not None and not str(value).startswith("/"):
            found[f"{prefix}{name}"] = str(value)
    return found


def _signature(session: Session, verdict: Verdict | None) -> Signature | None:
    text = None if verdict is None else signature_of(verdict)
    if text is None:
        return None
    found = session.scalar(select(Signature).where(Signature.text == text))
    if found is None:
        found = Signature(text=text)
        session.add(found)
        session.flush()
    return found


def _checks(verdict: Verdict | None) -> list[Check]:
    by_name = {check.check: check for check in (verdict.checks if verdict else ())}
    return [
        Check(
            name=name,
            state="skipped" if check.skipped_reason else "passed" if check.passed else "failed",
            compared=check.compared,
            findings=len(check.findings),
        )
        for name, check in by_name.items()
    ]


def _metrics(verdict: Verdict | None) -> list[Metric]:
    timings = verdict.timings if verdict else {}
    return [
        Metric(name=f"{METRIC_OF_PHASE}{phase}", value=value) for phase, value in timings.items()
    ]
