"""The phases of a run: their deadlines, their durations, and which one failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.deadline import Deadline
from harness.evidence.journal import Journal
from harness.progress import Progress

GIB = 1 << 30

# seconds: (for any machine, and more per GiB of memory); some twenty times what an idle host needs
LIMITS = {
    "boot": (120.0, 10.0),
    "crash": (60.0, 10.0),
    "snapshot": (60.0, 60.0),
    "ipl": (60.0, 60.0),
    "dump": (120.0, 240.0),
    "reipl": (120.0, 10.0),
}
# our own work waits for no guest, so it has no deadline; these are for whoever watches a run
WORK_LIMITS = {
    "images": (7200.0, 0.0),
    "collect": (60.0, 120.0),
    "verify": (60.0, 120.0),
    "judge": (240.0, 480.0),
}
STALL_SECONDS = 60.0  # of silence, before a dump system is said to hang

WHAT = {
    "images": "images",
    "boot": "boot the system to be crashed",
    "crash": "crash it",
    "snapshot": "snapshot memory and registers",
    "ipl": "dump IPL from the SCSI disk",
    "dump": "dump system writes the dump",
    "reipl": "load the original system again",
    "collect": "collect the dump",
    "verify": "verify it bit for bit",
    "judge": "hear the judges",
}


class Phases:
    """Implements ``harness.machine.steps.Steps`` for one run.

    ``timings`` are seconds per phase, of all times that it was entered, also for the one that
    failed; ``current`` is the phase under way, or the one in which an exception arose.
    """

    def __init__(
        self, journal: Journal, progress: Progress, *, memory: int, time_factor: float
    ) -> None:
        self.timings: dict[str, float] = {}
        self.current: str | None = None
        self._journal, self._progress = journal, progress
        self._memory_gib, self._factor = memory / GIB, time_factor

    @property
    def stall_seconds(self) -> float:
        return STALL_SECONDS * self._factor

    @contextmanager
    def phase(self, name: str) -> Iterator[Deadline]:
        """A phase that waits for a guest, one of ``LIMITS``."""
        base, per_gib = LIMITS[name]
        with self._timed(name):
            yield Deadline((base + per_gib * self._memory_gib) * self._factor)

    @contextmanager
    def work(self, name: str) -> Iterator[None]:
        """A phase of our own work, one of ``WORK_LIMITS``."""
        with self._timed(name):
            yield

    def note(self, event: str, /, **details: object) -> None:
        self._journal.write(self.current, event, details)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self.current = name
        self.note("begin")
        start = time.monotonic()
        try:
            with self._progress.task(WHAT[name]):
                yield
        finally:
            seconds = round(time.monotonic() - start, 3)
            self.timings[name] = round(self.timings.get(name, 0.0) + seconds, 3)
        self.note("end", seconds=seconds)
        self.current = None
