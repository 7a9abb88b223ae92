"""The table of triggers: how a running system is crashed, or dumped without a crash.

A trigger is data: what is typed at the crashed system's shell, what the console then shows, and
who stops the machine. Every trigger was tested with Linux 6.12.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.s390x.wiring import DUMP_DISK
from harness.triggers.lkdtm import LKDTM
from harness.triggers.rows import named
from harness.triggers.system_kind import EVERYWHERE, FULL, SystemKind
from harness.triggers.trigger import (
    PANIC,
    PANIC_ON_OOPS,
    SHELL,
    ZCRASH,
    Stopped,
    SystemFile,
    Trigger,
    sysctl,
)


def _everywhere(trigger: Trigger, **on_full: Any) -> Trigger:
    """A trigger for all systems; ``on_full`` is what differs on a full one."""
    full = replace(trigger, systems=EVERYWHERE, **on_full) if on_full else None
    return replace(trigger, systems=EVERYWHERE, full=full)


def _zcrash(
    kind: str, summary: str, console: str, function: str = "zcrash_oops", task: str = SHELL
) -> Trigger:
    return Trigger(
        kind,
        summary,
        f"echo {kind} > /sys/kernel/debug/zcrash",
        console,
        PANIC_ON_OOPS + ZCRASH,
        function=function,
        task=task,
        systems=EVERYWHERE,
    )


def _early(kind: str, summary: str, parmline: str, console: str, function: str) -> Trigger:
    return Trigger(
        f"early-{kind}",
        summary,
        "",
        console,
        parmline=parmline,
        in_boot=True,
        function=function,
    )


def _on(event: str, action: str) -> tuple[str, ...]:
    """The command that sets what Linux does on panic, restart or halt.

    Source: Linux arch/s390/kernel/ipl.c, shutdown actions.
    """
    return (f"echo {action} > /sys/firmware/shutdown_actions/on_{event}",)


def _restart(
    action: str,
    console: str,
    setup: tuple[str, ...] = (),
    stopped: Stopped = Stopped.DISABLED_WAIT,
    function: str = "__do_restart",
) -> Trigger:
    return Trigger(
        f"restart-{action}",
        f"PSW restart, on_restart={action}",
        "true",  # nothing to type: the operator restarts CPU 0
        console,
        (*setup, *_on("restart", action)),
        stopped=stopped,
        restart=True,
        function=function,
        systems=EVERYWHERE,
    )


# like dumpconf (s390-tools etc/dumpconf): set the dump device and the shutdown action.
# The dump device is the disk that the harness attaches to the dump machine
_DUMP_DEVICE = (
    f"echo 0.0.{DUMP_DISK.devno:04x} > /sys/firmware/dump/fcp/device",
    f"echo {DUMP_DISK.wwpn:#018x} > /sys/firmware/dump/fcp/wwpn",
    f"echo {DUMP_DISK.lun:#018x} > /sys/firmware/dump/fcp/lun",
    "echo fcp > /sys/firmware/dump/dump_type",
)


def _on_console(command: str) -> str:
    """``command``, with what it prints on the console: over SSH nothing would be there.

    A line of its own, because a getty has left the text "login: " without an end.
    """
    return f"{{ echo; {command}; }} > /dev/console"


_SYSRQ_CRASH = "sysrq_handle_crash"  # drivers/tty/sysrq.c


def _panic_dump(action: str, summary: str) -> Trigger:
    return Trigger(
        f"panic-{action.replace('_', '-')}",
        summary,
        "echo c > /proc/sysrq-trigger",
        PANIC + "sysrq triggered crash",
        _DUMP_DEVICE + _on("panic", action),
        stopped=Stopped.DUMP_REQUEST,
        function=_SYSRQ_CRASH,
        task=SHELL,
        systems=EVERYWHERE,
    )


_CONFIGURATION = "/etc/zharness/dump.conf"
_SERVICE = "zharness-dumpconf.service"
_DUMPCONF_FILES = (
    SystemFile(
        "system/dumpconf/zharness-dumpconf", "/usr/local/sbin/zharness-dumpconf", mode=0o755
    ),
    SystemFile(f"system/dumpconf/{_SERVICE}", f"/etc/systemd/system/{_SERVICE}"),
)


def _configured(action: str) -> tuple[str, ...]:
    """The commands that make the system dump by itself, now and after each boot."""
    lines = (
        f"device=0.0.{DUMP_DISK.devno:04x}",
        f"wwpn={DUMP_DISK.wwpn:#018x}",
        f"lun={DUMP_DISK.lun:#018x}",
        "bootprog=0",
        "br_lba=0",
        f"on_panic={action}",
        f"on_restart={action}",
    )
    return (
        f"mkdir -p {_CONFIGURATION.rpartition('/')[0]}",
        f"printf '%s\\n' {' '.join(lines)} > {_CONFIGURATION}",
        "systemctl daemon-reload",
        f"systemctl enable --now {_SERVICE}",
        "sync",  # the system is to have it when it is loaded again
    )


def _by_configuration(trigger: Trigger, name: str, action: str, summary: str) -> Trigger:
    """``trigger``, if the system was told by a file in /etc to dump by itself."""
    return replace(
        trigger,
        name=name,
        summary=summary,
        setup=_configured(action),
        stopped=Stopped.DUMP_REQUEST,
        systems=FULL,
        files=_DUMPCONF_FILES,
    )


# the final state of CPU 0: images/crash/zcrash/registers.h
_FIRST_CPU = {"wait": "in a disabled wait", "running": "running", "stopped": "stopped"}


def _registers(first: str) -> Trigger:
    return Trigger(
        f"registers-{first}",
        f"no register of any CPU is zero, and CPU 0 is {_FIRST_CPU[first]}",
        f"echo registers-{first} > /sys/kernel/debug/zcrash",
        r"(?m)^zcrash: every register is loaded\r?$",
        ZCRASH,
        cpus=4,
        stopped=Stopped.BY_OPERATOR,
        registers=True,
        systems=EVERYWHERE,
    )


_SYSRQ_C = Trigger(
    "sysrq-c",
    "sysrq c",
    "echo c > /proc/sysrq-trigger",
    PANIC + "sysrq triggered crash",
    function=_SYSRQ_CRASH,
    task=SHELL,
    systems=EVERYWHERE,
)
_RESTART_DUMP = _restart("dump", "", _DUMP_DEVICE, Stopped.DUMP_REQUEST, "diag308_dump")

_OTHERS = (
    _SYSRQ_C,
    Trigger(
        "boot-panic",
        "the kernel panics during its boot, before there is a shell",
        "",
        PANIC,
        in_boot=True,
    ),
    _early(
        "no-init",
        "the kernel has booted, and finds no init",
        "rdinit=/dev init=/no-such-init",
        PANIC + "Requested init /no-such-init failed",
        "kernel_init",
    ),
    # rcu_fanout_leaf is at least 2; else rcu_init_geometry() warns (kernel/rcu/tree.c)
    _early(
        "start-kernel",
        "the kernel panics in start_kernel, before it has a console",
        "earlyprintk panic_on_warn=1 rcutree.rcu_fanout_leaf=1",
        PANIC + r"(kernel: )?panic_on_warn set",
        "rcu_init",
    ),
    _early(
        "unpack",
        "the kernel's decompressor finds no room for the kernel",
        "mem=1M",
        r"(?m)^ -- System halted\r?$",
        "",
    ),
    Trigger(
        "init-killed",
        "the shell that is init ends",
        "exit",
        PANIC + "Attempted to kill init",
        function="do_exit",
        task=SHELL,
    ),
    _everywhere(
        Trigger(
            "out-of-memory",
            "no memory left, with panic_on_oom",
            "cat /dev/zero > /tmp/all",
            PANIC + "Out of memory: system-wide panic_on_oom is enabled",
            (sysctl("vm.panic_on_oom", 1), "mount -o remount,size=100% /tmp"),
            function="out_of_memory",
        ),
        command="cat /dev/zero > /run/zharness-all/all",
        setup=(
            sysctl("vm.panic_on_oom", 1),
            "mkdir /run/zharness-all",
            "mount -t tmpfs -o size=100% tmpfs /run/zharness-all",
        ),
    ),
    _zcrash("oops", "an oops in process context", PANIC + "Fatal exception"),
    _zcrash(
        "oops-softirq", "an oops in a softirq", PANIC + "Fatal exception in interrupt", task=""
    ),
    _zcrash("oops-hardirq", "an oops in a hardirq", PANIC + "Fatal exception in interrupt"),
    # s390 stops in a panic notifier. The console would be flushed later, even if its lock is held
    # (kernel/panic.c, console_flush_on_panic; arch/s390/kernel/ipl.c, on_panic_notify)
    replace(
        _zcrash("panic-console-lock", "a panic with the console lock held", "", "crash"),
        log=f"{PANIC}zcrash: panic with the console lock held",
    ),
    replace(
        _zcrash(
            "panic-two-cpus",
            "two CPUs panic at once",
            PANIC + r"zcrash: nested panic on CPU \d+",
            "panic_together",
            task="",
        ),
        cpus=2,
    ),
    _restart("stop", ""),
    _RESTART_DUMP,
    _panic_dump("dump", "the panicking system loads the dump disk itself"),
    _panic_dump("dump_reipl", "the same, and the original system is to be loaded afterwards"),
    _by_configuration(
        _SYSRQ_C,
        "configured-panic",
        "dump",
        "panic-dump, as a service has set it at the boot, by a file in /etc",
    ),
    _by_configuration(
        _SYSRQ_C,
        "configured-panic-reipl",
        "dump_reipl",
        "the same, and the original system is to be loaded afterwards",
    ),
    _by_configuration(
        _RESTART_DUMP,
        "configured-restart",
        "dump",
        "restart-dump, set in the same way",
    ),
    _everywhere(
        Trigger(
            "halt",
            "the system halts: every CPU is stopped",
            "halt -f",
            "",
            _on("halt", "stop"),
            stopped=Stopped.ALL_STOPPED,
            log=r"(?<!\x010)reboot: System halted",  # in the kernel's text its level comes first
            function="do_machine_halt",
            task="halt",
        ),
        command="systemctl halt",
        task="systemd-shutdow",  # the first 15 characters: proc_pid_comm(5)
    ),
    _everywhere(
        Trigger(
            "operator",
            "the operator loads the dump disk; nothing crashed",
            "echo running",
            r"(?m)^running\r?\n",
            stopped=Stopped.BY_OPERATOR,
        ),
        command=_on_console("echo running"),
    ),
    _everywhere(
        Trigger(
            "operator-cpu-stopped",
            "the operator loads the dump disk while CPU 1 is stopped (offline)",
            "cat /sys/devices/system/cpu/online",
            # with the line end, because the rest of a longer list may follow
            r"(?m)^0(,2\S*)?\r?\n",
            ("echo 0 > /sys/devices/system/cpu/cpu1/online",),
            cpus=2,
            stopped=Stopped.BY_OPERATOR,
        ),
        command=_on_console("cat /sys/devices/system/cpu/online"),
    ),
    Trigger(
        "hung",
        "the root file system is frozen, who writes hangs; the operator loads the dump disk",
        "fsfreeze -f /; touch /hung & "
        f"until grep -q 'State:.D' /proc/$!/status; do :; done; {_on_console('echo hung')}",
        r"(?m)^hung\r?\n",
        stopped=Stopped.BY_OPERATOR,
        systems=FULL,
    ),
    *map(_registers, _FIRST_CPU),
)

TRIGGERS = {trigger.name: trigger for trigger in (*_OTHERS, *LKDTM)}


def trigger_named(name: str) -> Trigger:
    """The trigger called ``name``; raises UsageError that lists all triggers."""
    return named(name, "trigger", TRIGGERS)


def require_trigger(trigger: Trigger, system: SystemKind) -> None:
    """Raises ValueError, beginning with the field of the schema, if it does not work there."""
    if system not in trigger.systems:
        there = ", ".join(each.name for each in TRIGGERS.values() if system in each.systems)
        raise ValueError(
            f"trigger: {trigger.name} does not work on a {system.value} system; there are: {there}"
        )
