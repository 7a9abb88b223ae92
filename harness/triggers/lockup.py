"""One CPU loops for ever with interrupts off, while the shell goes on working on another CPU."""

from __future__ import annotations

PROVOKE = "/sys/kernel/debug/provoke-crash/DIRECT"

# Everything that waits for that CPU waits for ever: a task that last ran there, such as kthreadd
# (kernel/sched/fair.c, select_task_rq_fair), or a worker, such as the worker for console input
# (drivers/tty/tty_buffer.c). nproc must come first: it counts the CPUs that the shell may use.
VACATE_LAST_CPU = (
    "last=$(($(nproc) - 1)); others=$(printf %x $(((1 << last) - 1))); "
    "echo $others > /sys/devices/virtual/workqueue/cpumask; "
    "for task in /proc/[0-9]*; do taskset -p $others ${task#/proc/} > /dev/null 2>&1 || :; done"
)
# The CPU must be idle by now, or it could be the CPU that keeps the time for all CPUs
# (kernel/time/tick-sched.c, tick_do_timer_cpu).
LOCK_LAST_CPU = (
    f"taskset $(printf %x $((1 << last))) sh -c 'echo HARDLOCKUP > {PROVOKE}' & "
    "until dmesg | grep -q 'direct entry HARDLOCKUP'; do usleep 20000; done"
)
