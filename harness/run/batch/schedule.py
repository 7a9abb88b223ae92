"""Decide when each of many jobs runs: tokens, a capacity, and a fair order. No I/O.

Jobs start in the order of the request. If a job does not fit at the moment, later jobs that do fit
start before it (backfill), but only ``MAX_OVERTAKEN`` of them. Then nothing behind the job starts
until the job has started. So every job starts in the end, and the order depends only on the order
of the calls.

Jobs with an equal ``crash`` crash the same system in the same way. The first of them makes the
crash. The others are held until it is made: they take no tokens meanwhile, and do not count as
overtaken, because they could not have run.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

from harness.errors import HostError

MAX_OVERTAKEN = 16

_MIB = 1 << 20


@dataclass(frozen=True)
class Tokens:
    """What a job takes while it runs, or the capacity: bytes of memory, and CPUs."""

    memory: int
    cpus: int

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.memory + other.memory, self.cpus + other.cpus)

    def __sub__(self, other: Tokens) -> Tokens:
        return Tokens(self.memory - other.memory, self.cpus - other.cpus)

    def within(self, other: Tokens) -> bool:
        return self.memory <= other.memory and self.cpus <= other.cpus

    def __str__(self) -> str:
        return f"{self.memory // _MIB} MiB of memory and {self.cpus} CPU{'s' * (self.cpus != 1)}"


@dataclass(frozen=True)
class Job:
    """``crash`` identifies the crash that the job dumps; None if it shares it with no other job."""

    name: str
    tokens: Tokens
    crash: Hashable | None = None


class Schedule:
    """The jobs of one batch, by their number in ``jobs``.

    Those that are ``done`` never start. Raises HostError, naming the job and the numbers, if one
    of the others is larger than ``capacity``.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        capacity: Tokens,
        *,
        max_overtaken: int = MAX_OVERTAKEN,
        done: Collection[int] = (),
    ) -> None:
        for number, job in enumerate(jobs):
            if number in done:
                continue
            if not job.tokens.within(capacity):
                raise HostError(
                    f"{job.name} takes {job.tokens}, more than the {capacity} there are for runs",
                    hint="choose less --memory for it, or end other programs",
                )
        self._jobs = jobs
        self._free = capacity
        self._limit = max_overtaken
        self._waiting = [number for number in range(len(jobs)) if number not in done]
        self._overtaken = [0] * len(jobs)
        self._running: set[int] = set()
        self._makers: dict[Hashable, int] = {}  # crash -> the job that is making it
        self._made: set[Hashable] = set()

    @property
    def waiting(self) -> int:
        """The number of jobs that have not started yet."""
        return len(self._waiting)

    def start(self) -> list[int]:
        """The jobs that start now, in this order; they are running from here on."""
        started: list[int] = []
        passed_over: list[int] = []
        for number in tuple(self._waiting):
            if any(self._overtaken[earlier] >= self._limit for earlier in passed_over):
                break
            if self._held(number):
                continue
            if self._jobs[number].tokens.within(self._free):
                self._begin(number)
                started.append(number)
                # also count jobs that this very start has just put on hold
                for earlier in passed_over:
                    self._overtaken[earlier] += 1
            else:
                passed_over.append(number)
        return started

    def crash_made(self, number: int) -> None:
        """The running job ``number`` has its crash; jobs that share it are no longer held."""
        self._made.add(self._jobs[number].crash)

    def finished(self, number: int) -> None:
        """The job has ended. If its crash was not made, the next job with this crash makes it."""
        self._running.remove(number)
        self._free += self._jobs[number].tokens
        crash = self._jobs[number].crash
        if crash is not None and self._makers.get(crash) == number:
            del self._makers[crash]

    def stop(self) -> list[int]:
        """Start nothing more. Returns the jobs that have not started, in order."""
        dropped, self._waiting = self._waiting, []
        return dropped

    def _held(self, number: int) -> bool:
        crash = self._jobs[number].crash
        return crash in self._makers and crash not in self._made

    def _begin(self, number: int) -> None:
        self._waiting.remove(number)
        self._running.add(number)
        self._free -= self._jobs[number].tokens
        crash = self._jobs[number].crash
        if crash is not None and crash not in self._made:
            self._makers[crash] = number
