"""Record a batch that was run without a database, from its report and its verdicts."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import EvidenceError, HarnessError, UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import REPORT
from harness.files.json_file import read_object
from harness.files.plain_file import is_there
from harness.report.runs import REFUSED, Report, ReportedRun
from harness.report.verdict import Result, Verdict
from harness.results.database import Database
from harness.results.record import now, record_whole


def import_batch(database: Database, series: str, evidence: Path) -> tuple[int, int]:
    """Record the batch in ``evidence`` as the next night; returns its number and how many runs.

    Raises EvidenceError, naming the file, if the report or a verdict is damaged, and UsageError if
    two runs have the same name.
    """
    report = read_report(evidence)
    verdicts = [run.verdict for run in report.runs if run.verdict is not None]
    began = min((each.started for each in verdicts if each.started), default=None)
    host = next((each.host for each in verdicts if each.host), None)
    number = record_whole(
        database, series, evidence, report, _time(began) or now(), host or platform.node()
    )
    return number, len(report.runs)


def _time(text: str | None) -> datetime | None:
    """A verdict's time, as the database keeps it."""
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when


def read_report(evidence: Path) -> Report:
    """The report of a batch, with the verdicts in its runs' evidence."""
    path = evidence / REPORT
    told = read_object(path)
    runs, seconds = told.get("runs"), told.get("seconds")
    if not isinstance(runs, list) or not isinstance(seconds, int | float):
        raise EvidenceError(f"{path}: not the report of a batch")
    return Report(tuple(_run(path, run, evidence) for run in runs), float(seconds))


def _run(path: Path, told: object, evidence: Path) -> ReportedRun:
    if not isinstance(told, dict) or not isinstance(name := told.get("name"), str):
        raise EvidenceError(f"{path}: a run has no name")
    directory, result = _directory(told.get("directory"), evidence), str(told.get("verdict"))
    verdict, seconds = _verdict(directory), told.get("seconds")
    error = str(told.get("error") or result)
    if verdict is None and result == Result.ERROR:
        verdict = Verdict.trouble(HarnessError(error), None, directory=directory or evidence)
    if verdict is None and result in (Result.PASS, Result.FAIL):
        raise EvidenceError(f"{path}: {name} was {result}, and its verdict is not there any more")
    return ReportedRun(
        name=name,
        file=Path(str(told.get("file", ""))),
        directory=directory,
        replay=str(told.get("replay", "")),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        verdict=verdict,
        refused=UsageError(error) if result == REFUSED else None,
        skipped=None if verdict or result == REFUSED else error,
    )


def _directory(told: object, evidence: Path) -> Path | None:
    """Where the run's evidence is now: the batch may have been moved since."""
    if not isinstance(told, str):
        return None
    here = evidence / Path(told).name
    return here if is_there(here) else None


def _verdict(directory: Path | None) -> Verdict | None:
    if directory is None or not is_there(path := RunDirectory(directory).verdict):
        return None
    return Verdict.from_json(read_object(path), directory)
