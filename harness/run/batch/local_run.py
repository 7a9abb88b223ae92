"""A run in a process of this host: what it has told so far, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from harness.closing import Closing
from harness.deadline import Deadline
from harness.errors import HarnessError, UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import WORKER_LOG
from harness.files.json_file import read_object
from harness.phase import Phase
from harness.report.verdict import Result, Verdict
from harness.run.batch.job import RunJob
from harness.run.batch.messages import AtTask, Concluded, ConsoleLine, Entered, Refused
from harness.run.batch.running import HERE, StartRun
from harness.run.batch.worker_process import WorkerProcess, worker_command
from harness.run.phases import AFTER_CRASH, most_seconds


def on_this_host(command: Sequence[str] | None = None, limit: float | None = None) -> StartRun:
    """How to start runs here, each in a process.

    ``command`` is the worker's, ``limit`` the seconds for one run, by default what all its phases
    may take.
    """

    def start(job: RunJob, _host: str = HERE) -> LocalRun:
        most = most_seconds(job.plan.scenario.crashed.memory, job.plan.time_factor)
        return LocalRun(job, command or worker_command(), most if limit is None else limit)

    return start


class LocalRun(Closing):
    """Owns the worker at ``job``; it may take ``limit`` seconds. Raises HostError.

    ``output`` and ``death`` are the worker's: file descriptors to wait for.
    """

    def __init__(self, job: RunJob, command: Sequence[str], limit: float) -> None:
        self.started = time.monotonic()
        self.crash_made = False
        self._job, self._deadline = job, Deadline(limit)
        self._at = "its start"
        self._phase: Phase | None = None
        self._verdict: Verdict | UsageError | None = None
        self._trouble: HarnessError | None = None
        self._interrupted: int | None = None  # by this signal
        self._worker = WorkerProcess(job, command)
        self.output, self.death = self._worker.output, self._worker.death

    def close(self) -> None:
        self._worker.close()

    @property
    def silent(self) -> bool:
        """Whether there is nothing more to hear."""
        return self._worker.silent or self._trouble is not None

    def hear(self) -> Iterator[AtTask | ConsoleLine]:
        """What it has told since, for those who watch."""
        try:
            for message in self._worker.read():
                match message:
                    case Concluded(verdict):
                        self._verdict = Verdict.from_json(verdict, self._job.output)
                    case Refused(what, hint):
                        self._verdict = UsageError(what, hint=hint)
                    case Entered(phase):
                        self._phase = phase
                        self.crash_made |= phase is AFTER_CRASH
                    case AtTask(what, _):
                        self._at = what
                        yield message
                    case ConsoleLine():
                        yield message
        except HarnessError as error:
            self._give_up(error)

    def kill_if_overdue(self) -> None:
        """End a worker that hangs in spite of the deadlines of its own."""
        if self._deadline.expired and self._trouble is None:
            seconds = self._deadline.seconds
            self._give_up(
                HarnessError(f"the run had not ended after {seconds:.0f} s; it was at: {self._at}")
            )

    def interrupt(self, number: int) -> None:
        """Ask it to end by a signal, with no other verdict than that unless it is nearly there."""
        self._interrupted = number
        self._worker.interrupt(number)

    def kill(self) -> None:
        self._worker.kill()

    def conclude(self) -> Verdict | UsageError:
        """What came of it, once the worker is dead.

        The error if the request made no sense, so that there is no evidence. No verdict for any
        other reason is an ERROR, and is in the evidence as such.
        """
        how = self._worker.wait()
        directory = RunDirectory(self._job.output)
        if self._verdict is not None and self._trouble is None:
            if isinstance(self._verdict, Verdict):
                self._save_errors(directory)
            return self._verdict
        if not self._job.options.keep:
            directory.drop_disk()
        if self._interrupted is not None and self._trouble is None:
            return self._ended_early(directory, self._interrupted)
        error = self._trouble or HarnessError(
            f"the run's process ended {how} and left no verdict; "
            f"it said: {self._worker.last_words()}"
        )
        log = self._save_errors(directory)
        hint = f"see {log}" if log else None
        verdict = Verdict.trouble(
            HarnessError(error.message, hint=hint), self._phase, directory=directory.root
        )
        self._write(directory, verdict)
        return verdict

    def _ended_early(self, directory: RunDirectory, number: int) -> Verdict:
        """The verdict of a run that was interrupted; the worker's own, if there was time for it."""
        with suppress(HarnessError):
            said = Verdict.from_json(read_object(directory.verdict), directory.root)
            if said.result is Result.INTERRUPTED:
                return said
        verdict = Verdict.interrupted(number, self._phase, directory=directory.root)
        self._write(directory, verdict)
        return verdict

    def _write(self, directory: RunDirectory, verdict: Verdict) -> None:
        with suppress(OSError):  # a full disk must not take the report along
            directory.root.mkdir(parents=True, exist_ok=True)
            directory.write_json(directory.verdict, verdict.to_json())

    def _give_up(self, error: HarnessError) -> None:
        self._trouble = error
        self._worker.kill()

    def _save_errors(self, directory: RunDirectory) -> Path | None:
        """Keep what it wrote to its standard error, and say where; None if that was nothing."""
        errors = self._worker.errors()
        if not errors:
            return None
        log = directory.root / WORKER_LOG
        with suppress(OSError):
            directory.root.mkdir(parents=True, exist_ok=True)
            log.write_bytes(errors)
        return log
