"""Write the results of a batch into the database, as its runs end."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from harness import __version__
from harness.errors import UsageError
from harness.report.runs import SKIPPED, Report, ReportedRun
from harness.report.signature import signature_of
from harness.report.verdict import Result, Verdict
from harness.results.database import Database
from harness.results.tables import Batch, Check, Inputs, Metric, Run, Signature

FIRST, AGAIN = 1, 2  # attempts: the run itself, and its repetition if it did not pass


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
    def begin(cls, database: Database, series: str, directory: Path) -> tuple[Recorder, Path]:
        """A new batch of ``series`` with the next number, and its evidence in ``directory``."""
        with database.session() as session:
            last = session.scalar(select(func.max(Batch.number)).where(Batch.series == series))
            number = (last or 0) + 1
            evidence = directory.absolute() / series / f"{number:04}"
            batch = Batch(
                series=series,
                number=number,
                started=now(),
                ended=None,
                state=State.RUNNING,
                host=platform.node(),
                harness=__version__,
                evidence=str(evidence),
            )
            session.add(batch)
            session.flush()
            return cls(database, batch.id), evidence

    @classmethod
    def unfinished(cls, database: Database, series: str) -> tuple[Recorder, Path] | None:
        """The last batch of ``series`` if its process was killed, and its evidence."""
        with database.session() as session:
            last = session.scalar(
                select(Batch).where(Batch.series == series).order_by(Batch.number.desc()).limit(1)
            )
            if last is None or last.state != State.RUNNING:
                return None
            return cls(database, last.id), Path(last.evidence)

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

    def end(self, state: State) -> None:
        """The batch has ended, in this way."""
        with self.database.session() as session:
            batch = session.get_one(Batch, self.batch_id)
            batch.state, batch.ended = state, now()


def pin(database: Database, series: str, number: int, *, pinned: bool) -> None:
    """Let a night stay, or not; raises UsageError if there is none with that number."""
    with database.session() as session:
        _batch(session, series, number).pinned = pinned


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
    return [Metric(name=f"seconds.{phase}", value=value) for phase, value in timings.items()]
