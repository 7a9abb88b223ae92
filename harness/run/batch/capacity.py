"""How much memory and CPU a host has for runs, and how much a run takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HostError
from harness.host import cgroup
from harness.run.batch.running import HERE
from harness.run.batch.schedule import Job, Schedule, Tokens
from harness.scenario.crashed import Crashed

OVERHEAD = 512 << 20  # bytes that QEMU and the harness need in addition to the guest's memory
RESERVE = 512 << 20  # bytes that stay free for the rest of the host

_MEMINFO = Path("/proc/meminfo")


def usable_cpus() -> int:
    """How many CPUs this process may use (sched_getaffinity(2)); a container can allow less."""
    allowed = cgroup.cpus()
    there = len(os.sched_getaffinity(0))
    return there if allowed is None else min(there, allowed)


def capacity(cpus: int, *, meminfo: Path = _MEMINFO) -> Tokens:
    """What all runs together may take: ``cpus``, and the available memory minus a reserve.

    ``meminfo`` is the kernel's file with MemAvailable (proc_meminfo(5)); a container can allow
    less. Raises HostError if the file does not have that.
    """
    for line in meminfo.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available, allowed = int(line.split()[1]) << 10, cgroup.memory_left()
            most = available if allowed is None else min(available, allowed)
            return Tokens(max(0, most - RESERVE), cpus)
    raise HostError(f"{meminfo} does not tell MemAvailable")


def tokens(memory: int, smp: int, workload: str | None, room: Tokens) -> Tokens:
    """The part of ``room`` for one run, with a crashed system of ``memory`` bytes, ``smp`` CPUs.

    The crashed system and the dump system run one after the other. A guest that only boots and
    crashes keeps one CPU busy; a guest with a workload keeps all its CPUs busy.
    """
    return Tokens(memory + OVERHEAD, 1 if workload is None else min(smp, room.cpus))


def largest(rooms: Mapping[str, Tokens]) -> Tokens:
    """What the largest host of ``rooms`` can take."""
    return max(rooms.values(), key=lambda room: (room.cpus, room.memory))


def require_room(name: str, crashed: Crashed, *, or_else: str = "") -> None:
    """Raises HostError, with the numbers, unless a run of this system fits; ``name`` is the run's.

    For a single run; many runs are scheduled. ``or_else`` is added to what the user can do.
    """
    room = capacity(usable_cpus())
    need = tokens(crashed.memory, crashed.smp, crashed.workload, room)
    try:
        Schedule([Job(name, need)], {HERE: room})
    except HostError as error:
        raise HostError(error.message, hint=f"{error.hint}{or_else}") from None
