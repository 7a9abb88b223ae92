"""Decide when and on which host each of many jobs runs: tokens, capacities, a fair order. No I/O.

Jobs start in a given order, by default that of the request. If a job does not fit at the moment,
later jobs that do fit start before it (backfill), but only ``MAX_OVERTAKEN`` of them. Then nothing
behind the job starts on a host that is large enough for it, until the job has started. So every job
starts in the end, and the order depends only on the order of the calls.

Jobs with an equal ``crash`` crash the same system in the same way. The first of them on a host
makes the crash there. The others are held until it is made: they take no tokens meanwhile, and do
not count as overtaken, because they could not have run. A host that has the crash is preferred.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

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


@dataclass
class _Host:
    """One host: ``makers`` are the jobs that make a crash there, ``made`` the crashes it has."""

    capacity: Tokens
    free: Tokens
    makers: dict[Hashable, int] = field(default_factory=dict)
    made: set[Hashable] = field(default_factory=set)

    def holds(self, crash: Hashable | None) -> bool:
        """Whether a job with this crash must wait here until the crash is made."""
        return crash in self.makers and crash not in self.made


def largest_first(jobs: Sequence[Job], rooms: Mapping[str, Tokens]) -> list[int]:
    """The numbers of the jobs, those with most memory first, if several can run at a time.

    They take longest: begun at the end, one would run alone. Otherwise the order of the request.
    """
    if sum(room.cpus for room in rooms.values()) < 2:
        return list(range(len(jobs)))
    return sorted(range(len(jobs)), key=lambda number: -jobs[number].tokens.memory)


class Schedule:
    """The jobs of one batch, by their number in ``jobs``; ``rooms`` is the capacity of each host.

    They start in the ``order`` of these numbers. Those that are ``done`` never start. Raises
    HostError, naming the job and the numbers, if one of the others fits on no host.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        rooms: Mapping[str, Tokens],
        *,
        order: Sequence[int] | None = None,
        max_overtaken: int = MAX_OVERTAKEN,
        done: Collection[int] = (),
    ) -> None:
        for number, job in enumerate(jobs):
            if number not in done and not any(job.tokens.within(room) for room in rooms.values()):
                there_are = ", or ".join(dict.fromkeys(map(str, rooms.values())))
                raise HostError(
                    f"{job.name} takes {job.tokens}, more than the {there_are} there are for runs",
                    hint="choose less --memory for it, or end other programs",
                )
        self._jobs = jobs
        self._hosts = {name: _Host(room, room) for name, room in rooms.items()}
        self._limit = max_overtaken
        order = range(len(jobs)) if order is None else order
        self._place = {number: place for place, number in enumerate(order)}
        self._waiting = [number for number in order if number not in done]
        self._overtaken = [0] * len(jobs)
        self._running: dict[int, str] = {}

    @property
    def waiting(self) -> int:
        """The number of jobs that have not started yet."""
        return len(self._waiting)

    def start(self) -> dict[int, str]:
        """The jobs that start now, in this order, with their hosts; they run from here on."""
        started: dict[int, str] = {}
        passed_over: list[int] = []
        for number in tuple(self._waiting):
            kept_for = [each for each in passed_over if self._overtaken[each] >= self._limit]
            open_to_it = {
                name: host
                for name, host in self._hosts.items()
                if not any(self._fits(each, host) for each in kept_for)
            }
            if not open_to_it:
                break
            if (name := self._best(number, open_to_it)) is not None:
                self._begin(number, name)
                started[number] = name
                # also count jobs that this very start has just put on hold
                for earlier in passed_over:
                    self._overtaken[earlier] += self._fits(earlier, self._hosts[name])
            elif not any(host.holds(self._jobs[number].crash) for host in self._hosts.values()):
                passed_over.append(number)
        return started

    def crash_made(self, number: int) -> None:
        """The running job ``number`` has its crash; jobs that share it are no longer held."""
        if (host := self._host_of(number)) is not None:
            host.made.add(self._jobs[number].crash)

    def finished(self, number: int) -> None:
        """The job has ended. If its crash was not made, the next job with this crash makes it."""
        host = self._host_of(number)
        del self._running[number]
        if host is None:
            return
        host.free += self._jobs[number].tokens
        crash = self._jobs[number].crash
        if crash is not None and host.makers.get(crash) == number:
            del host.makers[crash]

    def again(self, number: int) -> None:
        """The job has ended without a result: it waits again, at its place."""
        self.finished(number)
        self._waiting = sorted([*self._waiting, number], key=self._place.__getitem__)

    def retire(self, name: str) -> None:
        """Start nothing more on this host; its jobs are still to be :meth:`finished`."""
        self._hosts.pop(name, None)

    def stranded(self) -> list[int]:
        """The waiting jobs that fit on no host that is left; they never start."""
        dropped = [
            number
            for number in self._waiting
            if not any(self._fits(number, host) for host in self._hosts.values())
        ]
        self._waiting = [number for number in self._waiting if number not in dropped]
        return dropped

    def stop(self) -> list[int]:
        """Start nothing more. Returns the jobs that have not started, by number."""
        dropped, self._waiting = sorted(self._waiting), []
        return dropped

    def _host_of(self, number: int) -> _Host | None:
        """The host on which a job runs; None if it was retired."""
        return self._hosts.get(self._running[number])

    def _fits(self, number: int, host: _Host) -> bool:
        """Whether the host is large enough for the job, when it does nothing else."""
        return self._jobs[number].tokens.within(host.capacity)

    def _best(self, number: int, hosts: Mapping[str, _Host]) -> str | None:
        """The host on which the job starts best now; None if there is none."""
        job = self._jobs[number]
        able = {
            name: (job.crash in host.made, host.free.cpus, host.free.memory)
            for name, host in hosts.items()
            if job.tokens.within(host.free) and not host.holds(job.crash)
        }
        return max(able, key=lambda name: able[name], default=None)

    def _begin(self, number: int, name: str) -> None:
        host, job = self._hosts[name], self._jobs[number]
        self._waiting.remove(number)
        self._running[number] = name
        host.free -= job.tokens
        if job.crash is not None and job.crash not in host.made:
            host.makers[job.crash] = number
