"""Many runs side by side: one loop owns them all, wherever they run."""

from __future__ import annotations

import selectors
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from harness.closing import Closing
from harness.deadline import Deadline
from harness.errors import HostError, UsageError
from harness.evidence.directory import RunDirectory
from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Verdict
from harness.run.batch.directory import former
from harness.run.batch.interrupts import Interrupts
from harness.run.batch.items import Item
from harness.run.batch.messages import AtTask, ConsoleLine
from harness.run.batch.running import Lost, Running, StartRun
from harness.run.batch.schedule import Job, Schedule, Tokens, largest_first

TICK_SECONDS = 0.5  # how often the display is brought up to date
GRACE_SECONDS = 4.0  # for runs to clean up after an interrupt; then they are killed
MOST_LOST = 2  # hosts that may die with one run: it may be the reason

AFTER_FAILURE = "not run: another run failed before"
NOT_STARTED = "not run: interrupted before"
UNFINISHED = "not finished yet"


class Watcher(Protocol):
    """The display of a batch's progress. Items are identified by their number in the request."""

    def started(self, number: int, item: Item) -> None: ...

    def at(self, number: int, task: AtTask) -> None: ...

    def console(self, number: int, line: ConsoleLine) -> None: ...

    def ended(self, number: int, run: ReportedRun) -> None:
        """Also called for items that never started."""

    def lost(self, number: int, host: str, why: str) -> None:
        """It has ended without a result, because of its host; it may run elsewhere."""

    def tick(self) -> None:
        """Called about every ``TICK_SECONDS``."""


def run_batch(
    items: Sequence[Item],
    rooms: Mapping[str, Tokens],
    watcher: Watcher,
    start: StartRun,
    *,
    fail_fast: bool = False,
    grace: float = GRACE_SECONDS,
    kept: Mapping[int, Verdict] = MappingProxyType({}),
    save: Callable[[Report], bool] = lambda report: True,
) -> Report:
    """Run all items within ``rooms``; with ``fail_fast`` start none after the first that fails.

    ``rooms`` is what each host can take. ``start`` starts a run, ``grace`` is the seconds it has to
    clean up after an interrupt. An interrupt ends the batch; the report says so, and holds what had
    finished. Trouble with one run is that run's ERROR. Runs that are ``kept``, by their number in
    ``items``, have their verdict from before.

    ``save`` is given the report as far as it is, when a run has ended; if it returns False, again
    soon.

    A run that is lost with its host runs again on another one. It is an ERROR if no other host
    has room for it, or if ``MOST_LOST`` hosts died at it.

    Call it from the main thread. Raises HostError if one of the items can never run.
    """
    jobs = [Job(item.name, item.tokens, item.crash) for item in items]
    schedule = Schedule(jobs, rooms, order=largest_first(jobs, rooms), done=kept)
    with _Batch(items, schedule, watcher, start, fail_fast, grace, save) as batch:
        batch.keep(kept)
        return batch.run()


class _Batch(Closing):
    """Owns all active runs, and the selector that waits for them."""

    def __init__(
        self,
        items: Sequence[Item],
        schedule: Schedule,
        watcher: Watcher,
        start: StartRun,
        fail_fast: bool,
        grace: float,
        save: Callable[[Report], bool],
    ) -> None:
        self._save, self._unsaved, self._start = save, False, time.monotonic()
        self._items, self._schedule, self._watcher = items, schedule, watcher
        self._start_run, self._fail_fast, self._grace = start, fail_fast, grace
        self._running: dict[int, Running] = {}
        self._hosts: dict[int, str] = {}  # of each run that has started, the last one
        self._died: Counter[int] = Counter()  # hosts that died at a run
        self._runs: dict[int, ReportedRun] = {}
        self._ending: Deadline | None = None  # set by an interrupt
        with ExitStack() as stack:
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._interrupts = stack.enter_context(Interrupts())
            self._watch(self._interrupts.fd, self._interrupts.read)
            self._stack = stack.pop_all()

    def close(self) -> None:
        while self._running:
            self._running.popitem()[1].close()
        self._stack.close()

    def keep(self, kept: Mapping[int, Verdict]) -> None:
        """Use the verdicts of an earlier batch for runs of this one."""
        for number, verdict in kept.items():
            self._report(number, sum(verdict.timings.values()), verdict, kept=True)
        if self._fail_fast and any(run.is_bad for run in self._runs.values()):
            self._drop(AFTER_FAILURE)

    def run(self) -> Report:
        while True:
            for number, host in self._schedule.start().items():
                self._begin(number, host)
            if not self._running and not self._schedule.waiting:
                break
            self._serve()
        return self._so_far()

    def _so_far(self) -> Report:
        """The results of all runs; runs that have not ended are marked so."""
        runs = tuple(
            self._runs.get(number) or self._reported(number, 0.0, UNFINISHED)
            for number in range(len(self._items))
        )
        seconds = time.monotonic() - self._start
        return Report(runs, seconds, interrupted=self._interrupts.requests.first)

    def _begin(self, number: int, host: str) -> None:
        item = self._items[number]
        self._watcher.started(number, item)
        self._hosts[number] = host
        try:
            running = self._start_run(item.job, host)
        except HostError as error:
            self._conclude(number, 0.0, Verdict.trouble(error, None, directory=item.job.output))
            return
        self._running[number] = running
        self._watch(running.output, partial(self._hear, number, running))
        self._watch(running.death, partial(self._bury, number, running))

    def _serve(self) -> None:
        """Wait a little for runs and for a request to end, and do what follows."""
        for key, _ in self._selector.select(TICK_SECONDS):
            if key.fileobj in self._selector.get_map():  # an earlier event may have ended it
                key.data()
        if self._interrupts.requests.count:
            self._end()
        for running in self._running.values():
            running.kill_if_overdue()
        if self._unsaved:
            self._unsaved = not self._save(self._so_far())
        self._watcher.tick()

    def _end(self) -> None:
        """After an interrupt: start nothing, let runs clean up, kill those that take long."""
        number = self._interrupts.requests.first
        assert number is not None
        if self._ending is None:
            self._ending = Deadline(self._grace)
            self._drop(NOT_STARTED)
            for running in self._running.values():
                running.interrupt(number)
        if self._ending.expired or self._interrupts.requests.count > 1:
            for running in self._running.values():
                running.kill()

    def _hear(self, number: int, running: Running) -> None:
        for message in running.hear():
            match message:
                case AtTask():
                    self._watcher.at(number, message)
                case ConsoleLine():
                    self._watcher.console(number, message)
        if running.crash_made:
            self._schedule.crash_made(number)
        if running.silent:
            self._forget(running.output)

    def _bury(self, number: int, running: Running) -> None:
        """The run has ended: hear its last words, and say what came of it."""
        if running.output in self._selector.get_map():
            self._hear(number, running)
            self._forget(running.output)
        self._forget(running.death)
        del self._running[number]
        with closing(running):
            came = running.conclude()
        seconds = time.monotonic() - running.started
        if isinstance(came, Lost):
            self._lose(number, seconds, came)
        else:
            self._conclude(number, seconds, came)

    def _lose(self, number: int, seconds: float, lost: Lost) -> None:
        """Let the run go elsewhere, and leave its host alone from now on."""
        host, output = self._hosts[number], self._items[number].job.output
        why = f"{host} is lost: {lost.why.message}"
        trouble = Verdict.trouble(HostError(why, hint=lost.why.hint), None, directory=output)
        self._schedule.retire(host)
        self._died[number] += lost.died
        if self._ending is not None or self._died[number] >= MOST_LOST:
            self._conclude(number, seconds, trouble)
        else:
            with suppress(OSError):  # a full disk must not take the batch along
                _keep_try(output, trouble)
            self._watcher.lost(number, host, lost.why.message)
            self._schedule.again(number)
        for stranded in self._schedule.stranded():
            self._report(
                stranded, 0.0, replace(trouble, directory=self._items[stranded].job.output)
            )

    def _conclude(self, number: int, seconds: float, came: Verdict | UsageError) -> None:
        self._schedule.finished(number)
        self._report(number, seconds, came)
        if self._fail_fast and self._runs[number].is_bad:
            self._drop(AFTER_FAILURE)

    def _drop(self, reason: str) -> None:
        for number in self._schedule.stop():
            self._report(number, 0.0, reason)

    def _report(
        self, number: int, seconds: float, came: Verdict | UsageError | str, *, kept: bool = False
    ) -> None:
        """Report the result of an item; a string is the reason why it was skipped."""
        run = self._reported(number, seconds, came, kept=kept)
        self._runs[number] = run
        self._unsaved = True
        self._watcher.ended(number, run)

    def _reported(
        self, number: int, seconds: float, came: Verdict | UsageError | str, *, kept: bool = False
    ) -> ReportedRun:
        item = self._items[number]
        evidence = RunDirectory(item.job.output)
        return ReportedRun(
            item.name,
            item.file,
            None if isinstance(came, UsageError) else evidence.if_there,
            item.replay if evidence.run.is_file() else item.again,
            seconds,
            verdict=came if isinstance(came, Verdict) else None,
            refused=came if isinstance(came, UsageError) else None,
            skipped=came if isinstance(came, str) else None,
            kept=kept,
        )

    def _watch(self, fd: int, then: Callable[[], None]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, then)

    def _forget(self, fd: int) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)


def _keep_try(output: Path, verdict: Verdict) -> None:
    """Leave a verdict of a try of the run in ``output`` that is not its last one."""
    directory = RunDirectory(former(output))
    directory.root.mkdir(parents=True)
    directory.write_json(directory.verdict, verdict.to_json())
