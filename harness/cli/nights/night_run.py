"""One night: run a series' scenarios, repeat at once what failed, record all of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.batch.rerun import not_passed
from harness.cli.batch.run import Chosen, run_all
from harness.cli.say import tell
from harness.errors import HostError, UsageError
from harness.evidence.names import REPORT
from harness.evidence.slim import slim
from harness.host.signals import Interrupted
from harness.report.runs import Report
from harness.report.verdict import Result
from harness.results.record import AGAIN, FIRST, Recorder, State
from harness.run.batch.job import RunJob
from harness.run.batch.local_run import on_this_host
from harness.run.batch.running import Running, StartRun

if TYPE_CHECKING:
    from harness.results.database import Database
    from harness.results.nights import Night
    from harness.scenario.load import Concrete

FIRST_RUNS, REPEATED = "runs", "again"  # directories of a night
_SPARE = 1 << 30  # bytes that must stay free, besides twice the memory of the next run


def run_night(
    series: str,
    scenarios: Sequence[Concrete],
    chosen: Chosen,
    database: Database,
    directory: Path,
    *,
    jobs: int | None,
    repeat_failed: int,
) -> int:
    """Run ``scenarios`` as the next night of ``series``; returns its number.

    A night whose process was killed goes on where it was, with the same number. What fails is
    run ``repeat_failed`` times more: that is recorded beside, and does not make it good. The
    evidence goes to ``directory``/SERIES/NUMBER.

    Raises KeyboardInterrupt after all that had finished was recorded.
    """
    recorder, evidence, goes_on = _begin(series, database, directory)
    with _ended(recorder):
        report = run_all(
            scenarios,
            chosen,
            evidence / FIRST_RUNS,
            jobs=jobs,
            resume=goes_on and (evidence / FIRST_RUNS).is_dir(),
            start=_checked(on_this_host()),
            save=_saving(recorder, FIRST),
        )
        _finish(recorder, report, FIRST)
        failed = {run.name for run in report.runs if run.is_bad and run.verdict is not None}
        again = [concrete for concrete in scenarios if concrete.name in failed]
        for attempt in range(AGAIN, AGAIN + repeat_failed if again else AGAIN):
            tell(f"run again what did not pass: {len(again)}")
            place = evidence / f"{REPEATED}-{attempt}"
            report = run_all(
                again,
                chosen,
                place,
                jobs=jobs,
                resume=place.is_dir(),
                start=_checked(on_this_host()),
                save=_saving(recorder, attempt),
            )
            _finish(recorder, report, attempt)
    return recorder.number


def rerun_night(database: Database, night: Night, chosen: Chosen, *, jobs: int | None) -> None:
    """Run once more what did not pass in ``night``; raises UsageError if all of it passed."""
    from harness.scenario.select import select

    if not night.failed:
        raise UsageError(f"night {night.number} of {night.series}: everything passed")
    evidence = Path(night.evidence)
    words = not_passed(evidence / FIRST_RUNS / REPORT)
    attempt = 1 + max(len(outcome.attempts) for outcome in night.outcomes.values())
    recorder = Recorder.of(database, night.series, night.number)
    report = run_all(
        select(words, {}),
        chosen,
        evidence / f"{REPEATED}-{attempt}",
        jobs=jobs,
        start=_checked(on_this_host()),
        save=_saving(recorder, attempt),
    )
    _finish(recorder, report, attempt)


def _begin(series: str, database: Database, directory: Path) -> tuple[Recorder, Path, bool]:
    """The recorder of the night, its evidence, and whether it goes on after a kill."""
    unfinished = Recorder.unfinished(database, series)
    if unfinished is None:
        return *Recorder.begin(database, series, directory), False
    recorder, evidence = unfinished
    tell(f"night {recorder.number} of {series} was not ended: go on with it")
    return recorder, evidence, True


@contextmanager
def _ended(recorder: Recorder) -> Iterator[None]:
    """Say in the database how the night ended.

    After an error other than an interrupt it has not ended: the next call goes on with it.
    """
    try:
        yield
    except KeyboardInterrupt:
        with suppress(HostError):
            recorder.end(State.INTERRUPTED)
        raise
    recorder.end(State.ENDED)


def _finish(recorder: Recorder, report: Report, attempt: int) -> None:
    """Record what is not recorded yet, and pass an interrupt on that the batch has noted."""
    recorder.record(report, attempt)
    slim_passed(report)
    if report.interrupted is not None:
        raise Interrupted(report.interrupted)


def _saving(recorder: Recorder, attempt: int) -> Callable[[Report], None]:
    def save(report: Report) -> None:
        with suppress(HostError):  # the next time, or at the end
            recorder.record(report, attempt)
            slim_passed(report)

    return save


def slim_passed(report: Report) -> None:
    """Keep only texts and digests of the runs that passed; a run that is kept may be slim."""
    for run in report.runs:
        if run.result == Result.PASS and run.directory is not None:
            with suppress(OSError):  # the next time
                slim(run.directory)


def _checked(start: StartRun) -> StartRun:
    """Start no run on a host that has no room for it: that run is an ERROR."""

    def begin(job: RunJob) -> Running:
        place = job.output.parent
        free, needed = shutil.disk_usage(place).free, 2 * job.plan.scenario.crashed.memory + _SPARE
        if free < needed:
            raise HostError(
                f"{place}: {free >> 20} MB are free, and the run may need {needed >> 20} MB",
                hint="free some space, or choose another --directory; zharness night prune",
            )
        return start(job)

    return begin
