"""Check CPUs, their tasks and the list of all tasks in a dump."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from harness.verify.evidence import Evidence
from harness.verify.semantic.facts import Cpu, KernelFacts, Tasks, Walk

_SHOWN = 24  # functions of a stack, in a finding
_IDLE = "swapper/"
# a task that is being switched to is the run queue's current one before it is the lowcore's
# (Linux kernel/sched/core.c, __schedule; arch/s390/kernel/entry.S, __switch_to)
_SWITCHING = {"__schedule", "__switch_to"}
# a task that does not run has called one of these; context_switch() is inlined
_SWITCHED, _INNER = {"__schedule", "__switch_to"}, 3
# a task that has not run yet continues here, and every thread of the kernel began here
_ASLEEP = frozenset("SDIT")  # as in proc_pid_stat(5)
_NEW = {"ret_from_fork", "__ret_from_fork", "kernel_thread_starter"}
# arch/s390/kernel/entry.S: what the new PSWs of the lowcore lead to
_ENTRIES = _NEW | {
    *("system_call", "pgm_check_handler", "io_int_handler", "ext_int_handler"),
    *("__do_syscall", "__do_pgm_check", "do_io_irq", "do_ext_irq"),
}


def check_cpus(facts: KernelFacts, evidence: Evidence) -> Iterator[str]:
    """Each CPU that had come up must have one known task; one CPU must be where it crashed."""
    assert facts.cpus is not None
    found = {cpu.prefix for cpu in facts.cpus}
    for number, state in enumerate(evidence.cpus):
        if state.prefix and state.prefix not in found:
            yield f"CPUs: none in the dump has the prefix of CPU {number}, {state.prefix:#x}"
    known = {task.address for task in facts.tasks.forward.tasks} if facts.tasks else None
    for cpu in facts.cpus:
        yield from _current(cpu, known)
    yield from _crash(facts.cpus, evidence)


def check_tasks(facts: KernelFacts, _: Evidence) -> Iterator[str]:
    """The list must have the same tasks forwards, backwards, and in the table of process ids."""
    tasks = facts.tasks
    assert tasks is not None
    broken = [*_broken(tasks.forward, "next"), *_broken(tasks.backward, "prev")]
    yield from broken
    if tasks.changing or broken:
        return
    yield from _ways(tasks)
    yield from _leaders(tasks)


def check_stacks(facts: KernelFacts, _: Evidence) -> Iterator[str]:
    """The stack of a task that sleeps must lead from the scheduler to the kernel's entry.

    Of one that is ready to run, the kernel may be about to make its first stack frame.
    """
    assert facts.stacks is not None
    for stack in facts.stacks:
        if stack.state not in _ASLEEP:
            continue
        where, shown = f"stacks of tasks: {stack.task}", " < ".join(stack.functions[:_SHOWN])
        if _NEW.isdisjoint(stack.functions[:1]) and _SWITCHED.isdisjoint(stack.functions[:_INNER]):
            yield f"{where}: does not wait in the scheduler: {shown or 'nothing is on its stack'}"
        elif _ENTRIES.isdisjoint(stack.functions):
            yield f"{where}: does not lead to where the kernel was entered: {shown}"


def describe(cpu: Cpu, functions: int | None = None) -> str:
    """A CPU, its task and its stack (at most the innermost ``functions``), in a line."""
    stack = " < ".join(cpu.stack[:functions]) or "in a user's program"
    more = " < ..." if len(cpu.stack) > len(cpu.stack[:functions]) else ""
    return f"CPU {cpu.number}, {cpu.task}: {stack}{more}"


def _current(cpu: Cpu, known: set[int] | None) -> Iterator[str]:
    where = f"CPUs: CPU {cpu.number}"
    if cpu.task.address != cpu.running and not _SWITCHING.intersection(cpu.stack):
        yield (
            f"{where}: the lowcore's current task is {cpu.task}, the run queue's is at "
            f"{cpu.running:#x}"
        )
    if cpu.task_cpu != cpu.number:
        yield f"{where}: its current task {cpu.task} is on CPU {cpu.task_cpu} by its own account"
    if cpu.task.pid == 0:
        if cpu.task.comm != f"{_IDLE}{cpu.number}":
            yield f"{where}: its current task {cpu.task} is not its idle task"
    elif known is not None and not cpu.exiting and cpu.task.address not in known:
        yield f"{where}: its current task {cpu.task} is not in the list of tasks"


def _crash(cpus: tuple[Cpu, ...], evidence: Evidence) -> Iterator[str]:
    trigger = evidence.trigger
    if trigger is None or not trigger.function:
        return
    there = [cpu for cpu in cpus if trigger.function in cpu.stack]
    if not there:
        stacks = "; ".join(describe(cpu, _SHOWN) for cpu in cpus)
        yield f"CPUs: no stack leads to {trigger.function}, where the system crashed: {stacks}"
    elif trigger.task and all(cpu.task.comm != trigger.task for cpu in there):
        tasks = ", ".join(str(cpu.task) for cpu in there)
        yield f"CPUs: {trigger.function} was called by {tasks}, not by {trigger.task}"


def _broken(walk: Walk, direction: str) -> Iterator[str]:
    if walk.broken:
        last = walk.tasks[-1] if walk.tasks else "init_task"
        yield f"task list: tasks.{direction} after {last}: {walk.broken}"


def _ways(tasks: Tasks) -> Iterator[str]:
    """Where the list forwards and the list backwards start to differ."""
    back = tasks.backward.tasks[::-1]
    for there, here in zip_longest(tasks.forward.tasks, back):
        if there != here:
            yield (
                f"task list: {len(tasks.forward.tasks)} tasks forwards, {len(back)} backwards; "
                f"where the one has {there or 'its end'}, the other has {here or 'its end'}"
            )
            return


def _leaders(tasks: Tasks) -> Iterator[str]:
    listed = {task.address: task for task in tasks.forward.tasks}
    for address in sorted(set(tasks.leaders) - listed.keys()):
        yield f"task list: the task {address:#x} has a process id, but is not in the list"
    for address in sorted(listed.keys() - set(tasks.leaders)):
        yield f"task list: {listed[address]} is in the list, but has no process id"
