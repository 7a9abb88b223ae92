"""A small kernel without faults, as read from a dump; damage it with ``replace``."""

from __future__ import annotations

from harness.verify.semantic.facts import (
    Cpu,
    FreeList,
    KernelFacts,
    Names,
    SlabCache,
    Slabs,
    Stack,
    Task,
    Tasks,
    Walk,
    Zone,
)

INIT = Task(0xC68000, 1, "sh")
KTHREADD = Task(0xC69100, 2, "kthreadd")
KSWAPD = Task(0xC6A200, 28, "kswapd0")
IDLE = Task(0xCCD500, 0, "swapper/1")
TASKS = (INIT, KTHREADD, KSWAPD)

CONSOLE = (
    "KASLR disabled: CPU has no PRNG",
    "[    0.110421] Linux version 6.12.117 (zharness@zharness) (gcc (Debian) 12) #1 SMP @0",
    "[    0.111321] setup: Linux is running under KVM in 64-bit mode",
    "[    0.481813] Run /init as init process",
    "zharness: crashed system ready",
    "zharness# [    0.621080] sysrq: Trigger a crash",
    "[    0.621287] Kernel panic - not syncing: sysrq triggered crash",
    "[    0.621532] CPU: 0 UID: 0 PID: 1 Comm: sh Not tainted 6.12.117 #1",
)
LOG = tuple(line.removeprefix("zharness# ") for line in CONSOLE if "[  " in line)

KERNEL = KernelFacts(
    cpus=(
        Cpu(0, 0x10000, INIT, INIT.address, 0, ("disabled_wait", "panic", "sysrq_handle_crash")),
        Cpu(1, 0x18000, IDLE, IDLE.address, 1, ("smp_stop_cpu",)),
    ),
    log=LOG,
    names=Names("Linux", "6.12.117", "#1 SMP @0", "s390x"),
    tasks=Tasks(
        forward=Walk(TASKS),
        backward=Walk(TASKS[::-1]),
        leaders=tuple(task.address for task in TASKS),
        changing=False,
    ),
    zones=(Zone("DMA", 9, (FreeList(0, 1, 1), FreeList(1, 0, 0), FreeList(2, 2, 2)), False),),
    slabs=Slabs((SlabCache("task_struct", 35, 3),), len(TASKS), ()),
    stacks=(
        Stack(KTHREADD, "S", ("__schedule", "schedule", "kthreadd", "__ret_from_fork")),
        Stack(KSWAPD, "S", ("__schedule", "schedule", "kswapd", "kthread", "__ret_from_fork")),
    ),
)
