"""Runs without a process, for tests of the loop: the test controls each run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import HostError
from harness.phase import Phase
from harness.report.verdict import Result, Verdict
from harness.run.batch.job import RunJob
from harness.run.batch.messages import AtTask, ConsoleLine
from harness.run.batch.running import HERE, Came
from harness.run.phases import AFTER_CRASH

Told = AtTask | ConsoleLine | Phase


class PlayedRun:
    """Implements ``harness.run.batch.running.Running``; an interrupt or a kill ends it."""

    def __init__(self, name: str, directory: Path, host: str) -> None:
        self.name, self.directory, self.host = name, directory, host
        self.started = time.monotonic()
        self.crash_made = self.silent = self.closed = False
        self.output, self.death = os.eventfd(0), os.eventfd(0)
        self._told: list[Told] = []
        self._came: Came | None = None

    def tell(self, told: Told) -> None:
        self._told.append(told)
        os.eventfd_write(self.output, 1)

    def end(self, came: Came | Result) -> None:
        if self._came is None:
            self._came = Verdict(came, self.directory) if isinstance(came, Result) else came
            os.eventfd_write(self.death, 1)

    def hear(self) -> Iterator[AtTask | ConsoleLine]:
        told, self._told = self._told, []
        if told:
            os.eventfd_read(self.output)
        for each in told:
            if isinstance(each, Phase):
                self.crash_made |= each is AFTER_CRASH
            else:
                yield each

    def kill_if_overdue(self) -> None:
        pass

    def interrupt(self, number: int) -> None:
        self.end(Verdict.interrupted(number, None, directory=self.directory))

    def kill(self) -> None:
        self.end(Result.ERROR)

    def conclude(self) -> Came:
        assert self._came is not None, "it has not ended"
        return self._came

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        os.close(self.output)
        os.close(self.death)


class PlayedRuns:
    """Starts runs; ``then`` has the action at the start of a run. By default a run never ends."""

    def __init__(self, then: Callable[[PlayedRun], object] = lambda run: None) -> None:
        self.then = then
        self.runs: list[PlayedRun] = []

    def __call__(self, job: RunJob, host: str = HERE) -> PlayedRun:
        if job.plan.name == "unstartable":
            raise HostError("no process can be started")
        run = PlayedRun(job.plan.name, job.output, host)
        self.runs.append(run)
        self.then(run)
        return run

    def of(self, name: str) -> PlayedRun:
        """The run that was started with this name."""
        return next(run for run in self.runs if run.name == name)
