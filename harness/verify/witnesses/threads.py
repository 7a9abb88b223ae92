"""Compare the tasks in a dump with those that the system listed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from harness.evidence.witnesses import WitnessedTask, Witnesses
from harness.verify.findings import AllowedDifference
from harness.verify.witnesses.facts import SystemFacts, Thread, Threads
from harness.verify.witnesses.said import Said, first

_COMM = 15  # characters of task_struct.comm; /proc has the whole name of a kernel's thread
_ZOMBIES = "ZX"  # dead, and not alive again

_Key = tuple[int, int]  # a process id, which can be given again, and the time of the start


def check_threads(facts: SystemFacts, told: Witnesses) -> Iterator[Said]:
    """The same tasks with the same names; as many others as the kernel counted since."""
    threads = facts.threads
    assert threads is not None
    if threads.changing:
        return
    if len(threads.tasks) != threads.count:
        yield (
            f"tasks: {len(threads.tasks)} have a process id, but the kernel counts {threads.count}"
        )
    if told.tasks is None or told.counters is None:
        return
    found = {(task.pid, task.start): task for task in threads.tasks}
    listed = {(task.pid, task.start): task for task in told.tasks}
    forks = threads.forks - told.counters.forks
    if forks < 0:
        yield (
            f"tasks: the kernel counts {threads.forks} since the boot, but it had counted "
            f"{told.counters.forks}"
        )
        return
    yield from _gone(listed, found, told.counters.threads + forks - threads.count)
    yield from _new(listed, found, forks)
    for key in sorted(listed.keys() & found.keys()):
        yield from _same(listed[key], found[key])


def describe(threads: Threads) -> str:
    """How many tasks there are, and in which states."""
    states = Counter(task.state for task in threads.tasks)
    kernel = sum(task.kernel for task in threads.tasks)
    each = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"tasks: {len(threads.tasks)}, {kernel} of them of the kernel; states: {each}"


def _gone(
    listed: Mapping[_Key, WitnessedTask],
    found: Mapping[_Key, Thread],
    ended: int,
) -> Iterator[Said]:
    gone = sorted(listed.keys() - found.keys())
    if not gone:
        return
    names = first(f"{listed[key].comm} (pid {key[0]})" for key in gone)
    if len(gone) > ended:
        yield (
            f"tasks: {len(gone)} of {len(listed)} that the system had are not in the dump, but "
            f"only {max(ended, 0)} ended after that, as the kernel counts: {names}"
        )
    else:
        yield AllowedDifference(
            f"{len(gone)} tasks that are not in the dump",
            f"they ended after the system listed its tasks: {ended} did, as the kernel counts",
        )


def _new(
    listed: Mapping[_Key, WitnessedTask], found: Mapping[_Key, Thread], forks: int
) -> Iterator[Said]:
    new = sorted(found.keys() - listed.keys())
    names = first(f"{found[key].comm} (pid {key[0]})" for key in new)
    if len(new) > forks:
        yield (
            f"tasks: the dump has {len(new)} that the system did not have, but only "
            f"{forks} were made after that, as the kernel counts: {names}"
        )
    elif new:
        yield AllowedDifference(
            f"{len(new)} tasks that only the dump has",
            f"they were made after the system listed its tasks: {forks} were, as the kernel counts",
        )


def _same(told: WitnessedTask, found: Thread) -> Iterator[Said]:
    where = f"tasks: {told.comm} (pid {told.pid})"
    if told.kernel != found.kernel:
        yield f"{where}: is {'' if found.kernel else 'not '}a thread of the kernel in the dump"
    if told.state in _ZOMBIES and found.state not in _ZOMBIES:
        yield f"{where}: was dead ({told.state}), and is alive in the dump ({found.state})"
    if _name(told.comm, worker=told.worker) == _name(found.comm, worker=told.worker):
        return
    if told.kernel:
        yield f"{where}: is named '{found.comm}' in the dump"
    else:
        yield AllowedDifference(
            f"{told.comm} (pid {told.pid}), in the dump {found.comm}",
            "a process can run another program, or name itself (execve, PR_SET_NAME)",
        )


def _name(comm: str, *, worker: bool) -> str:
    """/proc adds to a worker's name what it works on (wq_worker_comm)."""
    return re.split("[-+]", comm)[0] if worker else comm[:_COMM]
