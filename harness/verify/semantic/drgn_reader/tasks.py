"""CPUs, their tasks, and the list of all processes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from drgn import FaultError, Object, Program, container_of
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import cpu_curr, task_cpu, task_state_to_char

from harness.dump.reader import Dump
from harness.s390x.cpu import DumpedCpu
from harness.verify.semantic.drgn_reader.stack import functions, sleeping
from harness.verify.semantic.drgn_reader.target import lowcore, name_modules
from harness.verify.semantic.facts import Cpu, Stack, Task, Tasks, Walk

MAX_TASKS = 1 << 16  # a list that never comes back to its head must end
_WRITER = 0xFFFF_0000  # of arch_rwlock_t.cnts (arch/s390/include/asm/spinlock.h)


def read_cpus(program: Program, dump: Dump) -> tuple[Cpu, ...]:
    name_modules(program)
    return tuple(_named(program, cpu, cpu.prefix) for cpu in dump.cpus if cpu.prefix)


def read_tasks(program: Program, _: Dump) -> Tasks:
    head = program["init_task"].tasks
    return Tasks(
        forward=_walk(head, "next"),
        backward=_walk(head, "prev"),
        leaders=tuple(int(task) for task in for_each_task(program) if task == task.group_leader),
        changing=is_changing(program),
    )


def read_stacks(program: Program, dump: Dump) -> tuple[Stack, ...]:
    """Of each task that is on no CPU and not dead, with the task's id in the order of ids."""
    name_modules(program)
    current = {int(lowcore(program, cpu.prefix).current_task) for cpu in dump.cpus if cpu.prefix}
    found = []
    for task in islice(for_each_task(program), MAX_TASKS):
        if not task.on_cpu and int(task) not in current and not task.exit_state:
            state = task_state_to_char(task)
            found.append(Stack(describe(task), state, sleeping(program, task)))
    return tuple(found)


def is_changing(program: Program) -> bool:
    """Whether the lock of the list of tasks was held for writing."""
    return bool(program["tasklist_lock"].raw_lock.cnts & _WRITER)


def describe(task: Object) -> Task:
    """``task`` is a ``struct task_struct *``."""
    name = task.comm.string_().decode(errors="replace")
    return Task(int(task), int(task.pid), name)


def _named(program: Program, cpu: DumpedCpu, prefix: int) -> Cpu:
    """Raises FaultError that says which CPU it is about."""
    try:
        return _cpu(program, cpu, prefix)
    except FaultError as error:
        raise FaultError(f"CPU with prefix {prefix:#x}: {error}", error.address) from error


def _cpu(program: Program, cpu: DumpedCpu, prefix: int) -> Cpu:
    core = lowcore(program, prefix)
    number = int(core.cpu_nr)
    task = Object(program, "struct task_struct *", int(core.current_task))
    stack = tuple(functions(program, cpu, core))
    return Cpu(
        number=number,
        prefix=prefix,
        task=describe(task),
        running=int(cpu_curr(program, number)),
        task_cpu=task_cpu(task),
        stack=tuple(name for name, _ in stack),
        exiting=bool(task.exit_state),
        addresses=tuple(address for _, address in stack),
    )


def _walk(head: Object, direction: str) -> Walk:
    tasks: list[Task] = []
    try:
        tasks.extend(_members(head, direction))  # all up to a fault
    except FaultError as error:
        return Walk(tuple(tasks), f"{error}")
    if len(tasks) == MAX_TASKS:
        return Walk(tuple(tasks), f"does not come back to its head within {MAX_TASKS} tasks")
    return Walk(tuple(tasks))


def _members(head: Object, direction: str) -> Iterator[Task]:
    start, node, seen = head.address_, head.member_(direction).read_(), 0
    while int(node) != start and seen < MAX_TASKS:
        yield describe(container_of(node, "struct task_struct", "tasks"))
        node, seen = node.member_(direction).read_(), seen + 1
