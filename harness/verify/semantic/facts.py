"""Facts about the crashed kernel: plain values, passed between processes as JSON.

Addresses are the kernel's virtual ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Task:
    """One ``struct task_struct``; ``comm`` is the process's name."""

    address: int
    pid: int
    comm: str

    def __str__(self) -> str:
        return f"{self.comm or '?'} (pid {self.pid}, task {self.address:#x})"


@dataclass(frozen=True)
class Cpu:
    """One CPU, as its lowcore and its run queue see it.

    ``task`` is the lowcore's current task, ``running`` the address of the run queue's.
    ``task_cpu`` is the CPU that the task believes itself on. ``stack`` are the functions that the
    CPU is in, innermost first, inlined ones too; empty if a user's program was running.
    ``exiting``: the task is dead and need not be in the list of tasks any more. Its parent takes it
    out as soon as it is a zombie, while it still runs (Linux kernel/exit.c, exit_notify).
    ``addresses`` are where each function of ``stack`` is or will continue; an inlined one has the
    address of the function that it is in.
    """

    number: int
    prefix: int
    task: Task
    running: int
    task_cpu: int
    stack: tuple[str, ...]
    exiting: bool = False
    addresses: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stack:
    """Where a task that is on no CPU will continue: as ``Cpu.stack``. ``state`` is a letter."""

    task: Task
    state: str
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """``init_uts_ns.name``."""

    sysname: str
    release: str
    version: str
    machine: str


@dataclass(frozen=True)
class Walk:
    """The members of a list up to its end; or up to a fault, which ``broken`` describes."""

    tasks: tuple[Task, ...]
    broken: str = ""


@dataclass(frozen=True)
class Tasks:
    """The list of all processes, without ``init_task``, its head.

    ``leaders`` are the addresses that the table of process ids leads to. ``changing``: the list's
    lock was held for writing, so it need not have been consistent.
    """

    forward: Walk
    backward: Walk
    leaders: tuple[int, ...]
    changing: bool


@dataclass(frozen=True)
class FreeList:
    """Free blocks of 2**order pages in a zone: as counted, and as found in the lists."""

    order: int
    counted: int
    found: int
    broken: str = ""


@dataclass(frozen=True)
class Zone:
    """A zone's free memory; ``free_pages`` is its own count of free pages.

    ``changing``: its lock was held.
    """

    name: str
    free_pages: int
    lists: tuple[FreeList, ...]
    changing: bool


@dataclass(frozen=True)
class SlabCache:
    """How many objects a cache has, and how many of them are free; or what is broken."""

    name: str
    objects: int
    free: int
    broken: str = ""


@dataclass(frozen=True)
class Slabs:
    """Some caches, and the tasks that are not allocated in the cache of tasks."""

    caches: tuple[SlabCache, ...]
    tasks: int
    lost_tasks: tuple[Task, ...]


@dataclass(frozen=True)
class KernelFacts:
    """Everything that could be read; a part that could not be read is None.

    ``faults`` says why: what is wrong in the dump. ``unknown`` says why it was not to be read in
    any dump of that kernel, whose types are others than those we know.

    ``cpus`` are those with registers in the dump, but for CPUs that never ran (prefix 0). ``log``
    is the kernel's, oldest line first, each with its time stamp as on the console.
    """

    cpus: tuple[Cpu, ...] | None = None
    log: tuple[str, ...] | None = None
    names: Names | None = None
    tasks: Tasks | None = None
    zones: tuple[Zone, ...] | None = None
    slabs: Slabs | None = None
    stacks: tuple[Stack, ...] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


PARTS = {
    "cpus": "CPUs",
    "log": "kernel log",
    "names": "UTS names",
    "tasks": "task list",
    "zones": "free lists",
    "slabs": "slab caches",
    "stacks": "stacks of tasks",
}
"""Each part's field, in the order of reading, and what people call it."""
