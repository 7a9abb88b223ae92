"""A trigger: how a running system is crashed, or dumped without a crash."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from harness.triggers.lockup import PROVOKE
from harness.triggers.system_kind import MINIMAL, SystemKind

PANIC = r"Kernel panic - not syncing: "
STALL_SECONDS = 3  # the shortest that kernel/rcu/tree_stall.h allows


class Stopped(Enum):
    """How the machine stops before the dump load."""

    DISABLED_WAIT = "disabled wait"
    ALL_STOPPED = "all CPUs stopped"
    BY_OPERATOR = "stopped by the operator"  # nothing crashed
    DUMP_REQUEST = "dump load requested"  # by the system itself: DIAGNOSE X'308' subcode 4


@dataclass(frozen=True)
class SystemFile:
    """A file that a trigger needs in the system: ``source`` is below ``images/``."""

    source: str
    target: str
    mode: int = 0o644


@dataclass(frozen=True)
class Trigger:
    """``setup`` and ``command`` are typed at the shell; ``stopped`` says how the machine ends.

    ``parmline`` are the kernel parameters that it needs, ``cpus`` is the least number of CPUs.
    ``from_disk``: the system must have been loaded from its own SCSI disk.

    At least one of these proves that the system crashed in this way. ``console`` (a regular
    expression) matches what the console shows. ``log`` (a regular expression) matches the kernel's
    log in memory, if the console cannot show it. ``restart``: after the command the operator
    presses PSW restart (QMP inject-nmi), so CPU 0 has a restart old PSW. ``registers``: no register
    of any CPU is zero when the machine has stopped.

    ``function`` is on the stack of a CPU when the machine has stopped, and ``task`` is the process
    that called it: a dump must show both. They are "" if they are not known or not always the same.
    They do not influence the crash, so they are not in ``repr``, which identifies a crash.

    ``in_boot``: nothing is typed; the kernel dies of what the scenario gives it, before it has a
    shell.

    It works on ``systems``. ``full`` is what is done on a full system, if that differs.
    ``files`` are put into the system before ``setup``.
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
    in_boot: bool = field(default=False, repr=False)
    systems: frozenset[SystemKind] = field(default=MINIMAL, repr=False)
    full: Trigger | None = field(default=None, repr=False)
    files: tuple[SystemFile, ...] = field(default=(), repr=False)

    def on(self, system: SystemKind) -> Trigger:
        """What is done on such a system."""
        if system is SystemKind.FULL and self.full is not None:
            return self.full
        return self

    @property
    def needs_own_kernel(self) -> bool:
        """Whether the kernel must have LKDTM, or take the harness's module."""
        typed = (*self.setup, self.command)
        return any(ZCRASH[0] in each or PROVOKE in each for each in typed)

    @property
    def from_disk(self) -> bool:
        return self.stopped is Stopped.DUMP_REQUEST


def sysctl(name: str, value: int) -> str:
    """The shell command that sets a sysctl, such as ``kernel.panic_on_oops``."""
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
SHELL = "sh"  # the process that runs the command of nearly every trigger
MODULE_PATH = "/zcrash.ko"  # images/crash/zcrash
ZCRASH = (f"insmod {MODULE_PATH}",)
