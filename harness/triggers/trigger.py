"""What a trigger is: how a running system is made to die, or to be dumped alive."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

PANIC = r"Kernel panic - not syncing: "
STALL_SECONDS = 3  # the shortest that kernel/rcu/tree_stall.h allows


class Stopped(Enum):
    """How the machine comes to stand still before the dump load."""

    DISABLED_WAIT = "disabled wait"
    ALL_STOPPED = "all CPUs stopped"
    BY_OPERATOR = "stopped by the operator"  # nothing crashed
    DUMP_REQUEST = "dump load requested"  # by the system itself: DIAGNOSE X'308' subcode 4


@dataclass(frozen=True)
class Trigger:
    """``setup`` and ``command`` are typed at the shell; ``stopped`` says how the machine ends.

    ``parmline`` are kernel parameters it needs, ``cpus`` how many CPUs at least.
    ``from_disk``: the system must have been loaded from its own SCSI disk.

    At least one of these proves that it was this death and no other. ``console`` (a regular
    expression): what the console shows of it. ``log`` (likewise): what the kernel's log in memory
    holds, where the console cannot show it. ``restart``: after the command the operator presses
    PSW restart (QMP inject-nmi), which leaves CPU 0 a restart old PSW. ``registers``: no register
    of any CPU is zero when the machine stands still.

    ``function`` is one that a CPU is in when all stands still, ``task`` the process that called it:
    what a dump must show. Both are "" where it is not known, or not the same each time. They have
    no part in the crash itself, so they are not in ``repr``, which tells one crash from another.
    """

    name: str
    summary: str
    command: str
    console: str
    setup: tuple[str, ...] = ()
    parmline: str = ""
    cpus: int = 1
    stopped: Stopped = Stopped.DISABLED_WAIT
    restart: bool = False
    log: str = ""
    registers: bool = False
    function: str = field(default="", repr=False)
    task: str = field(default="", repr=False)

    @property
    def from_disk(self) -> bool:
        return self.stopped is Stopped.DUMP_REQUEST


def sysctl(name: str, value: int) -> str:
    """The shell command that sets ``kernel.panic_on_oops`` and the like."""
    return f"echo {value} > /proc/sys/{name.replace('.', '/')}"


PANIC_ON_OOPS = (sysctl("kernel.panic_on_oops", 1),)
PANIC_ON_WARN = (sysctl("kernel.panic_on_warn", 1),)
PANIC_ON_STALL = (
    sysctl("kernel.panic_on_rcu_stall", 1),
    f"echo {STALL_SECONDS} > /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout",
)
PANIC_ON_HUNG_TASK = (
    sysctl("kernel.hung_task_panic", 1),
    sysctl("kernel.hung_task_timeout_secs", 1),
)
SHELL = "sh"  # the process that pulls nearly every trigger
ZCRASH = ("insmod /zcrash.ko",)  # images/crash/zcrash
