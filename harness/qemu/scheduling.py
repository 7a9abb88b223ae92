"""How much a host lets QEMU run: this distinguishes a guest that hangs from a host without time.

Sources: proc(5), /proc/PID/stat (state); Linux Documentation/scheduler/sched-stats.rst,
/proc/PID/task/TID/schedstat (time spent on the cpu, and waiting on a run queue, in nanoseconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_STOPPED = frozenset("Tt")  # by a signal, by a debugger
_NANOSECONDS = 1e9
_OF_THIS_THREAD = Path("/proc/thread-self/schedstat")


@dataclass(frozen=True)
class Scheduling:
    """A process at one moment: ``waited`` are seconds that each thread has waited for a CPU.

    ``used`` are those that it was on one. Both are empty if the host's kernel does not count them.
    ``stopped``: a signal has stopped the process.
    """

    stopped: bool
    waited: Mapping[int, float] = field(default_factory=dict)
    used: Mapping[int, float] = field(default_factory=dict)


def scheduling_of(pid: int) -> Scheduling | None:
    """The scheduling of a process; None if it does not exist."""
    root = Path("/proc", str(pid))
    try:
        state = root.joinpath("stat").read_text().rpartition(")")[2].split()[0]
        waited, used = {}, {}
        for thread in root.joinpath("task").iterdir():
            number = int(thread.name)
            used[number], waited[number] = _times(thread / "schedstat")
    except FileNotFoundError:
        return Scheduling(stopped=False) if root.exists() else None
    except (OSError, IndexError):
        return None
    return Scheduling(state in _STOPPED, waited, used)


def waited_for_a_cpu() -> float | None:
    """The seconds that this thread could have run, but had no CPU; None if nobody counts them."""
    try:
        return _times(_OF_THIS_THREAD)[1]
    except (OSError, IndexError):
        return None


def _times(schedstat: Path) -> tuple[float, float]:
    """The seconds that a thread was on a CPU, and those that it waited for one."""
    times = schedstat.read_text().split()
    return int(times[0]) / _NANOSECONDS, int(times[1]) / _NANOSECONDS


class RunTime:
    """How long a process could run between two checks.

    ``seconds`` is the sum; ``was_stopped`` tells whether a signal was seen to have stopped it.
    """

    def __init__(self, scheduling: Scheduling | None, now: float) -> None:
        self._former, self._at = scheduling, now
        self.seconds = 0.0
        self.was_stopped = scheduling is not None and scheduling.stopped

    def advance(self, scheduling: Scheduling | None, now: float) -> float:
        """Seconds since the last call in which it ran or had nothing to do.

        Not those in which a signal had stopped it, nor those in which one of its threads waited
        for a CPU.
        """
        former, elapsed = self._former, now - self._at
        self._former, self._at = scheduling, now
        self.was_stopped |= scheduling is not None and scheduling.stopped
        ran = _ran(former, scheduling, elapsed)
        self.seconds += ran
        return ran


def _ran(former: Scheduling | None, scheduling: Scheduling | None, elapsed: float) -> float:
    if former is None or scheduling is None:
        return elapsed
    if former.stopped or scheduling.stopped:
        return 0.0
    waited = (
        seconds - former.waited[thread]
        for thread, seconds in scheduling.waited.items()
        if thread in former.waited
    )
    return max(0.0, elapsed - max(waited, default=0.0))
