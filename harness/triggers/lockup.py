"""A CPU that loops with interrupts off for ever, and a shell that goes on working beside it."""

from __future__ import annotations

PROVOKE = "/sys/kernel/debug/provoke-crash/DIRECT"

# Whatever waits for that CPU waits for ever: a task that was last there, kthreadd among them
# (kernel/sched/fair.c, select_task_rq_fair), or a worker, such as the one that hands console
# input on (drivers/tty/tty_buffer.c). nproc counts the CPUs that the shell may use: it comes first.
VACATE_LAST_CPU = (
    "last=$(($(nproc) - 1)); others=$(printf %x $(((1 << last) - 1))); "
    "echo $others > /sys/devices/virtual/workqueue/cpumask; "
    "for task in /proc/[0-9]*; do taskset -p $others ${task#/proc/} > /dev/null 2>&1 || :; done"
)
# The CPU has to be idle by now, or it is the one that keeps the time for all
# (kernel/time/tick-sched.c, tick_do_timer_cpu).
LOCK_LAST_CPU = (
    f"taskset $(printf %x $((1 << last))) sh -c 'echo HARDLOCKUP > {PROVOKE}' & "
    "until dmesg | grep -q 'direct entry HARDLOCKUP'; do usleep 20000; done"
)
