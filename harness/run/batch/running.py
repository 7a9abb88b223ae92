"""A run under way, as the loop of a batch sees it: in a process here, or somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from harness.errors import HarnessError, UsageError
from harness.report.verdict import Verdict
from harness.run.batch.job import RunJob
from harness.run.batch.messages import AtTask, ConsoleLine


@dataclass(frozen=True)
class Lost:
    """A run ended without a result because of its host, which takes no more runs.

    ``died``: it was at work, so it may be the reason; else the host did not begin with it.
    """

    why: HarnessError
    died: bool


Came = Verdict | UsageError | Lost
"""What came of a run; the error if the request made no sense."""


class Running(Protocol):
    """Whoever starts one closes it, which ends what is left of it.

    ``output`` and ``death`` are file descriptors: the one is readable when :meth:`hear` has
    something to do, the other as soon as the run has ended, and :meth:`conclude` may be called.
    """

    @property
    def output(self) -> int: ...

    @property
    def death(self) -> int: ...

    @property
    def started(self) -> float:
        """When, by the monotonic clock."""

    @property
    def crash_made(self) -> bool:
        """Whether its crash is there for other runs, too."""

    @property
    def silent(self) -> bool:
        """Whether there is nothing more to hear."""

    def hear(self) -> Iterator[AtTask | ConsoleLine]:
        """What it has told since, for those who watch."""

    def kill_if_overdue(self) -> None:
        """End a run that hangs in spite of the deadlines of its own."""

    def interrupt(self, number: int) -> None:
        """Ask it to end, by this signal; it cleans up."""

    def kill(self) -> None:
        """End it at once."""

    def conclude(self) -> Came: ...

    def close(self) -> None: ...


HERE = "this host"

StartRun = Callable[[RunJob, str], Running]
"""Starts a run on the host with this name; raises HostError if it cannot be started."""
