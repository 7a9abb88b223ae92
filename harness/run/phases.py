"""The phases of a run: their deadlines, their durations, and the one that failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from harness.deadline import Deadline
from harness.evidence.journal import Journal
from harness.phase import Phase
from harness.progress import Progress

GIB = 1 << 30

OnPhase = Callable[[Phase], None]
"""Is told each phase when the run enters it."""


@dataclass(frozen=True)
class Limit:
    """The time limit of one phase: ``seconds``, and more per GiB of memory.

    About twenty times what an idle host needs. ``for_guest``: the run waits for a guest until a
    deadline. The harness's own work has no deadline; a batch uses its limit to end a run.
    """

    what: str
    seconds: float
    per_gib: float
    for_guest: bool = False

    def of(self, memory: int) -> float:
        """Seconds for a machine with ``memory`` bytes."""
        return self.seconds + self.per_gib * memory / GIB


PHASES: Mapping[Phase, Limit] = {
    Phase.IMAGES: Limit("images", 7200.0, 0.0),
    Phase.BOOT: Limit("boot the system to be crashed", 420.0, 10.0, for_guest=True),
    Phase.CRASH: Limit("crash it", 240.0, 60.0, for_guest=True),
    Phase.SNAPSHOT: Limit("snapshot memory and registers", 60.0, 60.0, for_guest=True),
    Phase.IPL: Limit("dump IPL from the SCSI disk", 60.0, 60.0, for_guest=True),
    Phase.DUMP: Limit("dump system writes the dump", 120.0, 240.0, for_guest=True),
    Phase.COLLECT: Limit("collect the dump", 60.0, 120.0),
    Phase.REIPL: Limit("load the original system again", 420.0, 240.0, for_guest=True),
    Phase.VERIFY: Limit("verify it bit for bit", 60.0, 120.0),
    Phase.JUDGE: Limit("hear the judges", 720.0, 480.0),
}
AFTER_CRASH = Phase.IPL  # the first phase in which other runs can use the crash
STALL_SECONDS = 60.0  # of silence, after which a dump system counts as hanging


def most_seconds(memory: int, time_factor: float) -> float:
    """Seconds that all phases of a run may take together, on a machine with ``memory`` bytes."""
    return sum(limit.of(memory) for limit in PHASES.values()) * time_factor


class Phases:
    """Implements ``harness.machine.run_phases.RunPhases`` for one run.

    ``timings`` are seconds per phase, the sum if it was entered several times, also for the phase
    that failed; ``current`` is the active phase, or the one in which an exception arose.
    """

    def __init__(
        self,
        journal: Journal,
        progress: Progress,
        *,
        memory: int,
        time_factor: float,
        on_phase: OnPhase | None = None,
    ) -> None:
        self.timings: dict[str, float] = {}
        self.current: Phase | None = None
        self._journal, self._progress = journal, progress
        self._memory, self._factor = memory, time_factor
        self._on_phase = on_phase

    @property
    def stall_seconds(self) -> float:
        return STALL_SECONDS * self._factor

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[Deadline]:
        """A phase that waits for a guest."""
        limit = PHASES[phase]
        assert limit.for_guest, phase
        with self._timed(phase):
            yield Deadline(limit.of(self._memory) * self._factor)

    @contextmanager
    def work(self, phase: Phase) -> Iterator[None]:
        """A phase of the harness's own work."""
        assert not PHASES[phase].for_guest, phase
        with self._timed(phase):
            yield

    def note(self, event: str, /, **details: object) -> None:
        self._journal.write(self.current, event, details)

    @contextmanager
    def _timed(self, phase: Phase) -> Iterator[None]:
        self.current = phase
        self.note("begin")
        if self._on_phase is not None:
            self._on_phase(phase)
        start = time.monotonic()
        try:
            with self._progress.task(PHASES[phase].what):
                yield
        finally:
            seconds = round(time.monotonic() - start, 3)
            self.timings[phase.value] = round(self.timings.get(phase.value, 0.0) + seconds, 3)
        self.note("end", seconds=seconds)
        self.current = None
