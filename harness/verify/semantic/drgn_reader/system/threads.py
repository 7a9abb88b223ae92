"""All tasks, and the kernel's counters about them."""

from __future__ import annotations

from drgn import Object, Program
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.percpu import per_cpu_ptr
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_state_to_char

from harness.verify.semantic.drgn_reader.system.bounded import bounded, text
from harness.verify.semantic.drgn_reader.tasks import MAX_TASKS, is_changing
from harness.verify.witnesses.facts import Thread, Threads

_KTHREAD = 0x0020_0000  # PF_KTHREAD: Linux include/linux/sched.h
_NANOSECONDS_PER_TICK = 10_000_000  # of USER_HZ, in which /proc counts
# who reclaims: Linux include/linux/vm_event_item.h; a kernel has some of these
_RECLAIMERS = (*("PGSTEAL_KSWAPD", "PGSTEAL_DIRECT", "PGSTEAL_KHUGEPAGED", "PGSTEAL_PROACTIVE"),)


def read_threads(program: Program) -> Threads:
    tasks = bounded(for_each_task(program), MAX_TASKS, "tasks")
    return Threads(
        tasks=tuple(_thread(task) for task in tasks),
        count=int(program["nr_threads"]),
        forks=int(program["total_forks"]),
        reclaimed=_reclaimed(program),
        changing=is_changing(program),
    )


def _thread(task: Object) -> Thread:
    return Thread(
        pid=int(task.pid),
        comm=text(task.comm.string_()),
        state=task_state_to_char(task),
        start=int(_start(task)) // _NANOSECONDS_PER_TICK,
        kernel=bool(int(task.flags) & _KTHREAD),
    )


def _start(task: Object) -> Object:
    """Since Linux 5.5 (cf25e24db61c) it is called start_boottime."""
    try:
        return task.start_boottime
    except AttributeError:
        return task.real_start_time


def _reclaimed(program: Program) -> int | None:
    if "vm_event_states" not in program:
        return None
    kinds = []
    for name in _RECLAIMERS:
        try:
            kinds.append(int(program.constant(name)))
        except LookupError:
            continue
    states = program["vm_event_states"]
    return sum(
        int(per_cpu_ptr(states.address_of_(), cpu).event[kind])
        for cpu in for_each_possible_cpu(program)
        for kind in kinds
    )
