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
            times = thread.joinpath("schedstat").read_text().split()
            used[int(thread.name)] = int(times[0]) / _NANOSECONDS
            waited[int(thread.name)] = int(times[1]) / _NANOSECONDS
    except FileNotFoundError:
        return Scheduling(stopped=False) if root.exists() else None
    except (OSError, IndexError):
        return None
    return Scheduling(state in _STOPPED, waited, used)


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
