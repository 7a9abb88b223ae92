"""The evidence of one run: its directory, its journal, and always a verdict."""

from __future__ import annotations

import platform
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.errors import HarnessError, HostError, UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.journal import Journal
from harness.host.fault import cannot_grow, host_fault, no_space
from harness.host.signals import deferred, signal_of
from harness.progress import Progress
from harness.report.verdict import Result, Verdict
from harness.run.fidelity import statement
from harness.run.phases import OnPhase, Phases
from harness.run.plan import Plan
from harness.verify.run_checks import CheckedRun


class Record:
    """One run in one evidence directory: owns the directory, the journal and the work disk.

    The disk stays in the evidence only with ``keep``. Raises UsageError or HostError if
    ``output`` cannot be taken for it.
    """

    def __init__(
        self,
        plan: Plan,
        output: Path,
        progress: Progress,
        *,
        keep: bool = False,
        on_phase: OnPhase | None = None,
    ) -> None:
        self._plan, self._keep = plan, keep
        self.directory = RunDirectory.create(output)
        self._journal = Journal(self.directory.journal)
        self.phases = Phases(
            self._journal,
            progress,
            memory=plan.scenario.crashed.memory,
            time_factor=plan.time_factor,
            on_phase=on_phase,
        )
        self._started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._inputs: dict[str, Any] = {}
        self.intercepted_by: str | None = None  # as the outcome of the dump says
        self._failed = False  # whether there is a verdict, and it is not PASS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with deferred():
            with suppress(OSError):  # a full disk has already been reported
                if kind is not None:
                    self.phases.note("ended early", why=kind.__name__)
            if not self._keep:
                self.directory.drop_disk()
                if not self._failed:
                    self.directory.drop_dump_system()
            if isinstance(error, KeyboardInterrupt) and not self.directory.verdict.exists():
                self._write(
                    Verdict.interrupted(signal_of(error), self.phases.current, **self._context())
                )
            with suppress(OSError):
                self._journal.close()
            if isinstance(error, UsageError):  # nothing ran, so there is no evidence
                self.directory.discard()

    def describe(self, *inputs: Mapping[str, Any]) -> None:
        """Write ``run.json``: the plan, and all inputs."""
        for identity in inputs:
            self._inputs |= identity
        description = {"plan": self._plan.to_json(), "inputs": self._inputs}
        self.directory.write_json(self.directory.run, description)

    def conclude(self, work: Callable[[], CheckedRun]) -> Verdict:
        """Do the work; what its checks found, or its error, becomes the verdict."""
        try:
            verdict = Verdict.of(work(), **self._context())
        except UsageError:
            raise
        except HarnessError as error:
            verdict = Verdict.trouble(error, self.phases.current, **self._context())
        except Exception as error:  # a bug of the harness must not leave a run without a verdict
            with suppress(OSError):
                self.phases.note("internal error", traceback=traceback.format_exc())
            what = self._explained(error)
            verdict = Verdict.trouble(what, self.phases.current, **self._context())
        self._failed = verdict.result is not Result.PASS
        unwritten = self._write(verdict)
        if unwritten is not None and verdict.result is not Result.ERROR:
            what = HostError(f"{self.directory.verdict} cannot be written: {unwritten.strerror}")
            return Verdict.trouble(what, None, **self._context())
        return verdict

    def _context(self) -> dict[str, Any]:
        """The fields of every verdict of this run, except its result."""
        return {
            "directory": self.directory.root,
            "fidelity": fidelity_of(self._plan, self.intercepted_by),
            "timings": self.phases.timings,
            "inputs": self._inputs,
            "started": self._started,
            "host": platform.node(),
        }

    def _write(self, verdict: Verdict) -> OSError | None:
        """Write ``verdict.json``; returns the error if that failed."""
        try:
            self.directory.write_json(self.directory.verdict, verdict.to_json())
        except OSError as error:
            return error
        return None

    def _explained(self, error: Exception) -> HarnessError:
        """An unexpected exception, as the host's fault if it is one, otherwise as our bug."""
        if isinstance(error, OSError) and cannot_grow(error):
            return no_space(error, error.filename or self.directory.root)
        return host_fault(error) or HarnessError(
            f"internal error: {type(error).__name__}: {error}",
            hint=f"{self.directory.journal} has the traceback; please report it",
        )


def fidelity_of(plan: Plan, intercepted_by: str | None = None) -> list[dict[str, str]]:
    """Which machine function is provided by whom in a run of ``plan``.

    ``intercepted_by`` as in the outcome of its dump; None if there is none.
    """
    scenario = plan.scenario
    given = scenario.dump.disk is not None
    crashed = scenario.crashed
    return statement(
        crashed.load,
        plan.crash.trigger,
        given_disk=given,
        full=crashed.is_full,
        frozen=crashed.frozen,
        intercepted_by=intercepted_by,
    )
