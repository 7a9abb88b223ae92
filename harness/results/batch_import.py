"""Record a batch that was run without a database, from its report and its verdicts."""

from __future__ import annotations

from pathlib import Path

from harness.errors import EvidenceError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import REPORT
from harness.files.json_file import read_object
from harness.files.plain_file import is_there
from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Verdict
from harness.results.database import Database
from harness.results.record import Recorder, State


def import_batch(database: Database, series: str, evidence: Path) -> tuple[int, int]:
    """Record the batch in ``evidence`` as the next night; returns its number and how many runs.

    Raises EvidenceError, naming the file, if the report or a verdict is damaged.
    """
    report = read_report(evidence)
    recorder, _ = Recorder.begin(database, series, evidence)
    recorder.record(report)
    recorder.end(State.ENDED)
    return recorder.number, len(report.runs)


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
    directory = _directory(told.get("directory"), evidence)
    seconds = told.get("seconds")
    return ReportedRun(
        name=name,
        file=Path(str(told.get("file", ""))),
        directory=directory,
        replay=str(told.get("replay", "")),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        verdict=_verdict(directory),
        skipped=None if directory else str(told.get("error") or "not run"),
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
