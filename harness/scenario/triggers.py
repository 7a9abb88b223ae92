"""How a running system is made to die, or to be dumped alive.

A trigger is data: what is typed at the crashed system's shell, what the console then shows, and
who stops the machine. Each was seen to work with Linux 6.12.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from harness.errors import UsageError
from harness.wiring import DUMP_DISK

PROVOKE = "/sys/kernel/debug/provoke-crash/DIRECT"
STALL_SECONDS = 3  # the shortest that kernel/rcu/tree_stall.h allows
PANIC = r"Kernel panic - not syncing: "


class Stopped(Enum):
    """How the machine comes to stand still before the dump load."""

    DISABLED_WAIT = "disabled wait"
    ALL_STOPPED = "all CPUs stopped"
    BY_OPERATOR = "stopped by the operator"  # nothing crashed
    DUMP_REQUEST = "dump load requested"  # by the system itself: DIAGNOSE X'308' subcode 4


@dataclass(frozen=True)
class Trigger:
    """``setup`` and ``command`` are typed at the shell; ``console`` (a regular expression) is
    what proves that it was this death and no other; ``stopped`` says how the machine ends.

    ``parmline`` are kernel parameters it needs, ``cpus`` how many CPUs at least. ``restart``:
    after the command the operator presses PSW restart (QMP inject-nmi). ``from_disk``: the
    system must have been loaded from its own SCSI disk.
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

    @property
    def from_disk(self) -> bool:
        return self.stopped is Stopped.DUMP_REQUEST


@dataclass(frozen=True)
class Workload:
    """What the system is doing meanwhile; ``command`` ends when it does."""

    name: str
    summary: str
    command: str


def _spin(cpus: str) -> str:
    return (
        f"for cpu in $(seq 0 $(({cpus} - 1))); do "
        "taskset $(printf %x $((1 << cpu))) sh -c 'while :; do :; done' & done; "
    )


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("busy", "every CPU computes", _spin("$(nproc)") + "echo busy: $(nproc) CPUs"),
        Workload(
            "irqs-off",
            "the last CPU loops with interrupts off, every other one computes",
            _spin("$(nproc) - 1")
            + "taskset $(printf %x $((1 << ($(nproc) - 1)))) "
            + f"sh -c 'echo HARDLOCKUP > {PROVOKE}' & "
            # the console gets that line from a timer of the CPU that takes no interruptions
            + "until dmesg | grep -q 'direct entry HARDLOCKUP'; do usleep 20000; done",
        ),
    )
}


def _set(name: str, value: int) -> str:
    return f"echo {value} > /proc/sys/{name.replace('.', '/')}"


_PANIC_ON_OOPS = (_set("kernel.panic_on_oops", 1),)
_PANIC_ON_WARN = (_set("kernel.panic_on_warn", 1),)
_PANIC_ON_STALL = (
    _set("kernel.panic_on_rcu_stall", 1),
    f"echo {STALL_SECONDS} > /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout",
)
_ZCRASH = ("insmod /zcrash.ko",)


def _lkdtm(
    kind: str, summary: str, console: str, setup: tuple[str, ...] = (), parmline: str = ""
) -> Trigger:
    name = f"lkdtm-{kind.lower().replace('_', '-')}"
    return Trigger(name, summary, f"echo {kind} > {PROVOKE}", console, setup, parmline)


def _zcrash(kind: str, summary: str, console: str, cpus: int = 1) -> Trigger:
    command = f"echo {kind} > /sys/kernel/debug/zcrash"
    return Trigger(kind, summary, command, console, _PANIC_ON_OOPS + _ZCRASH, cpus=cpus)


def _on(event: str, action: str) -> tuple[str, ...]:
    """What Linux does on panic, restart or halt (arch/s390/kernel/ipl.c, shutdown actions)."""
    return (f"echo {action} > /sys/firmware/shutdown_actions/on_{event}",)


def _restart(
    action: str,
    console: str,
    setup: tuple[str, ...] = (),
    stopped: Stopped = Stopped.DISABLED_WAIT,
) -> Trigger:
    return Trigger(
        f"restart-{action}",
        f"PSW restart, on_restart={action}",
        "true",  # nothing to type: the operator restarts CPU 0
        console,
        (*setup, *_on("restart", action)),
        stopped=stopped,
        restart=True,
    )


# what dumpconf does (s390-tools etc/dumpconf): name the dump device and the shutdown action.
# The guest is dumped on the disk that the harness attaches to the dump machine
_DUMP_DEVICE = (
    f"echo 0.0.{DUMP_DISK.devno:04x} > /sys/firmware/dump/fcp/device",
    f"echo {DUMP_DISK.wwpn:#018x} > /sys/firmware/dump/fcp/wwpn",
    f"echo {DUMP_DISK.lun:#018x} > /sys/firmware/dump/fcp/lun",
    "echo fcp > /sys/firmware/dump/dump_type",
)


def _panic_dump(action: str, summary: str) -> Trigger:
    return Trigger(
        f"panic-{action.replace('_', '-')}",
        summary,
        "echo c > /proc/sysrq-trigger",
        PANIC + "sysrq triggered crash",
        _DUMP_DEVICE + _on("panic", action),
        stopped=Stopped.DUMP_REQUEST,
    )


# Linux drivers/misc/lkdtm; what each one ends in is told by the table, so that a kernel that
# does something else is noticed
_LKDTM = (
    _lkdtm("PANIC", "panic()", PANIC + "dumptest"),
    _lkdtm("BUG", "BUG()", PANIC + "Fatal exception", _PANIC_ON_OOPS),
    _lkdtm("WARNING", "WARN() with panic_on_warn", PANIC + r"[^\n]*panic_on_warn", _PANIC_ON_WARN),
    _lkdtm("EXCEPTION", "a store to address 0", PANIC + "Fatal exception", _PANIC_ON_OOPS),
    _lkdtm("LOOP", "an endless loop; RCU notices", PANIC + "RCU Stall", _PANIC_ON_STALL),
    _lkdtm("EXHAUST_STACK", "endless recursion", PANIC + "Corrupt kernel stack"),
    _lkdtm("CORRUPT_STACK", "a stack frame overwritten", PANIC, _PANIC_ON_OOPS),
    _lkdtm("SOFTLOCKUP", "preemption off for ever", PANIC + "RCU Stall", _PANIC_ON_STALL),
    _lkdtm("HARDLOCKUP", "interrupts off for ever", PANIC + "RCU Stall", _PANIC_ON_STALL),
    _lkdtm(
        "HUNG_TASK",
        "a task that never wakes up",
        PANIC + "hung_task",
        (_set("kernel.hung_task_panic", 1), _set("kernel.hung_task_timeout_secs", 1)),
    ),
    _lkdtm("WRITE_RO", "a write to read-only data", PANIC + "Fatal exception", _PANIC_ON_OOPS),
    _lkdtm(
        "WRITE_AFTER_FREE",
        "a write to freed slab memory",
        PANIC + "panic_on_taint",
        parmline="slab_debug=FZP panic_on_taint=0x20",
    ),
    _lkdtm(
        "REFCOUNT_INC_OVERFLOW",
        "a reference count that overflows",
        PANIC + r"[^\n]*panic_on_warn",
        _PANIC_ON_WARN,
    ),
)

_OTHERS = (
    # drivers/tty/sysrq.c, sysrq_handle_crash
    Trigger("sysrq-c", "sysrq c", "echo c > /proc/sysrq-trigger", PANIC + "sysrq triggered crash"),
    Trigger(
        "lkdtm-spinlockup",
        "a spin lock taken twice",
        f"echo SPINLOCKUP > {PROVOKE}",
        PANIC + "RCU Stall",
        (*_PANIC_ON_STALL, f"echo SPINLOCKUP > {PROVOKE}"),
    ),
    Trigger("init-killed", "the shell that is init ends", "exit", PANIC + "Attempted to kill init"),
    Trigger(
        "out-of-memory",
        "no memory left, with panic_on_oom",
        "cat /dev/zero > /tmp/all",
        PANIC + "Out of memory: system-wide panic_on_oom is enabled",
        (_set("vm.panic_on_oom", 1), "mount -o remount,size=100% /tmp"),
    ),
    _zcrash("oops", "an oops in process context", PANIC + "Fatal exception"),
    _zcrash("oops-softirq", "an oops in a softirq", PANIC + "Fatal exception in interrupt"),
    _zcrash("oops-hardirq", "an oops in a hardirq", PANIC + "Fatal exception in interrupt"),
    _zcrash(
        "panic-console-lock",
        "a panic with the console lock held",
        PANIC + "zcrash: panic with the console lock held",
    ),
    _zcrash(
        "panic-two-cpus",
        "two CPUs panic at once",
        PANIC + r"zcrash: nested panic on CPU \d+",
        cpus=2,
    ),
    _restart("panic", PANIC),
    _restart("stop", ""),
    _restart("dump", "", _DUMP_DEVICE, Stopped.DUMP_REQUEST),
    _panic_dump("dump", "the panicking system loads the dump disk itself"),
    _panic_dump("dump_reipl", "the same, and the original system is to be loaded afterwards"),
    Trigger(
        "halt",
        "the system halts: every CPU is stopped",
        "halt -f",
        "reboot: System halted",
        _on("halt", "stop"),
        stopped=Stopped.ALL_STOPPED,
    ),
    Trigger(
        "operator",
        "the operator loads the dump disk; nothing crashed",
        "echo running",
        "running",
        stopped=Stopped.BY_OPERATOR,
    ),
    Trigger(
        "operator-cpu-stopped",
        "the operator loads the dump disk while CPU 1 is stopped (offline)",
        "cat /sys/devices/system/cpu/online",
        "0",
        ("echo 0 > /sys/devices/system/cpu/cpu1/online",),
        cpus=2,
        stopped=Stopped.BY_OPERATOR,
    ),
)

TRIGGERS = {trigger.name: trigger for trigger in (*_OTHERS, *_LKDTM)}


def trigger_named(name: str) -> Trigger:
    """Raises UsageError listing the triggers there are."""
    return _named(name, "trigger", TRIGGERS)


def workload_named(name: str) -> Workload:
    """Raises UsageError listing the workloads there are."""
    return _named(name, "workload", WORKLOADS)


_Row = TypeVar("_Row")


def _named(name: str, what: str, table: Mapping[str, _Row]) -> _Row:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(sorted(table))}"
    raise UsageError(f"no {what} '{name}'", hint=hint)
