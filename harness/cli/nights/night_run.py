"""One night: run a series' scenarios, repeat at once what failed, record all of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.batch.hosts import Hosts
from harness.cli.batch.rerun import not_passed
from harness.cli.batch.run import Chosen, require_same_request, run_all
from harness.cli.nights.night_bisect import bisect_new, until
from harness.cli.say import tell
from harness.cli.show.progress import progress_for
from harness.errors import EvidenceError, HarnessError, HostError, UsageError
from harness.evidence.names import REPORT, RUN, SLIMMED
from harness.evidence.pack.pack import pack
from harness.evidence.pack.store import PageStore
from harness.evidence.slim import slim
from harness.files.lock import alone
from harness.host.signals import Interrupted
from harness.report.runs import Report
from harness.report.verdict import Result
from harness.results.prune import FIRST_RUNS
from harness.results.record import AGAIN, FIRST, Recorder, State
from harness.run.batch.job import RunJob
from harness.run.batch.running import Running, StartRun

if TYPE_CHECKING:
    from harness.results.database import Database
    from harness.results.nights import Night
    from harness.scenario.load import Concrete

REPEATED = "again"  # the beginning of the names of a night's other directories
_SPARE = 1 << 30  # bytes that must stay free, besides twice the memory of the next run


def run_night(
    series: str,
    scenarios: Sequence[Concrete],
    chosen: Chosen,
    database: Database,
    directory: Path,
    *,
    hosts: Hosts,
    repeat_failed: int,
    bisect_until: time | None = None,
) -> int:
    """Run ``scenarios`` as the next night of ``series``; returns its number.

    A night whose process was killed goes on where it was, with the same number, if it had the same
    scenarios and options. What fails is run ``repeat_failed`` times more: that is recorded beside,
    and does not make it good. Until the time of the day ``bisect_until``, new failures are
    bisected. The evidence goes to ``directory``/SERIES/NUMBER.

    Raises KeyboardInterrupt after all that had finished was recorded; HostError if another process
    runs a night of this series.
    """
    deadline = None if bisect_until is None else until(bisect_until)
    with _only_one(directory / series):
        night = _unfinished(series, database, scenarios, chosen, hosts)
        if night is None:
            names = [concrete.name for concrete in scenarios]
            recorder, evidence = Recorder.begin(database, series, directory, names)
            night = _Night(recorder, evidence, scenarios, chosen, hosts)
        with _ended(night.recorder):
            if not night.repeats:  # else the first runs are done
                night.run_first()
            night.repeat(repeat_failed)
        if deadline is not None:  # the night has ended: what happens now cannot keep it open
            with _told("the bisection"):
                bisect_new(night.recorder, scenarios, chosen, night.evidence, deadline)
        night.pack()
    return night.recorder.number


def rerun_night(database: Database, night: Night, chosen: Chosen, *, hosts: Hosts) -> None:
    """Run once more what did not pass in ``night``; raises UsageError if there is nothing."""
    from harness.scenario.select import select

    if not night.failed:
        what = "everything that ran has passed" if night.missing else "everything passed"
        raise UsageError(f"night {night.number} of {night.series}: {what}")
    evidence = Path(night.evidence)
    words = not_passed(evidence / FIRST_RUNS / REPORT)
    recorder = Recorder.of(database, night.series, night.number)
    with _only_one(evidence.parent):
        again = _Night(recorder, evidence, select(words, {}), chosen, hosts)
        recorded = max(len(outcome.attempts) for outcome in night.outcomes.values())
        again.run_again(1 + max(recorded, FIRST, *again.repeats), again.scenarios)
        again.pack()


@dataclass(frozen=True)
class _Night:
    """One night under way."""

    recorder: Recorder
    evidence: Path
    scenarios: Sequence[Concrete]
    chosen: Chosen
    hosts: Hosts

    @property
    def repeats(self) -> list[int]:
        """The attempts that have a directory already."""
        names = (path.name for path in self.evidence.glob(f"{REPEATED}-*"))
        numbers = (name.removeprefix(f"{REPEATED}-") for name in names)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def run_first(self) -> None:
        """Run all scenarios; what a killed process has finished stays."""
        self._run(FIRST, self.scenarios, self.evidence / FIRST_RUNS)

    def repeat(self, times: int) -> None:
        """Run what did not pass at first so many ``times`` more."""
        failed = set(self.recorder.unsuccessful())
        again = [concrete for concrete in self.scenarios if concrete.name in failed]
        for attempt in range(AGAIN, AGAIN + times if again else AGAIN):
            tell(f"run again what did not pass: {len(again)}")
            self.run_again(attempt, again)

    def run_again(self, attempt: int, scenarios: Sequence[Concrete]) -> None:
        self._run(attempt, scenarios, self.evidence / f"{REPEATED}-{attempt}")

    def pack(self) -> None:
        """Pack the evidence of all runs that did not pass, also of nights that were interrupted.

        What cannot be packed stays whole.
        """
        store = PageStore.of_series(self.evidence.parent)
        progress = progress_for(json=self.chosen.json, verbose=False)
        for run in sorted(self.evidence.parent.glob("[0-9]*/*/*")):
            if run.is_symlink() or not (run / RUN).is_file() or (run / SLIMMED).exists():
                continue
            try:
                pack(run, store, progress)
            except HarnessError as error:
                tell(f"{run.name} is not packed: {error.message}")
            except OSError as error:
                tell(f"{run.name} is not packed: {error}")

    def _run(self, attempt: int, scenarios: Sequence[Concrete], place: Path) -> None:
        report = run_all(
            scenarios,
            self.chosen,
            place,
            hosts=Hosts(self.hosts.rooms, _checked(self.hosts.start)),
            resume=place.is_dir(),
            save=_saving(self.recorder, attempt),
        )
        _finish(self.recorder, report, attempt)


def _unfinished(
    series: str,
    database: Database,
    scenarios: Sequence[Concrete],
    chosen: Chosen,
    hosts: Hosts,
) -> _Night | None:
    """The night that was killed, if it can go on; one with another request is ended."""
    found = Recorder.unfinished(database, series)
    if found is None:
        return None
    recorder, evidence = found
    night = _Night(recorder, evidence, scenarios, chosen, hosts)
    if (why := _why_another(night)) is None:
        tell(f"night {recorder.number} of {series} was not ended: go on with it")
        return night
    tell(f"night {recorder.number} of {series} was not ended, and {why}: begin another one")
    recorder.end(State.INTERRUPTED)
    return None


def _why_another(night: _Night) -> str | None:
    """Why a night cannot go on with this request; None if it can."""
    if not night.evidence.is_dir():
        return "its evidence is not there any more"
    if night.recorder.asked != [concrete.name for concrete in night.scenarios]:
        return "it had other scenarios"
    place = (night.evidence / FIRST_RUNS).absolute()
    try:
        require_same_request(night.scenarios, night.chosen, place)
    except (UsageError, EvidenceError):
        return "it had other scenarios or options"
    return None


def _only_one(place: Path) -> AbstractContextManager[None]:
    """Hold the lock of the series whose evidence is in ``place``; HostError if another has it."""
    busy = HostError(
        f"{place}: another process runs a night of this series",
        hint="wait for it, or choose another --series",
    )
    return alone(place / "lock", busy)


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


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Tell an error of what comes after a night; it changes no result."""
    try:
        yield
    except HarnessError as error:
        tell(f"{what} failed: {error.message}")
    except OSError as error:
        tell(f"{what} failed: {error}")


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

    def begin(job: RunJob, host: str) -> Running:
        place = job.output.parent
        free, needed = shutil.disk_usage(place).free, 2 * job.plan.scenario.crashed.memory + _SPARE
        if free < needed:
            raise HostError(
                f"{place}: {free >> 20} MB are free, and the run may need {needed >> 20} MB",
                hint="free some space, or choose another --directory; zharness night prune",
            )
        return start(job, host)

    return begin
