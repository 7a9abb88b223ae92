"""What crash 9.0.2 said of a dump of ``panic``, shortened; and opinions that agree with a dump."""

from __future__ import annotations

from collections.abc import Sequence

from harness.dump.reader import Dump
from harness.judges.crash.guest import PAGE, Opinion
from harness.judges.crash.output import ActiveTask, Frame, Process
from harness.judges.guest import Said
from harness.s390x.cpu import CpuState
from harness.verify.semantic.facts import Cpu, KernelFacts, Task, Tasks, Walk

VERSION = "\ncrash 9.0.2\nCopyright (C) 2002-2026  Red Hat, Inc.\n"
SYSTEM = """\
      KERNEL: vmlinux
    DUMPFILE: /dev/sda
        CPUS: 2
      UPTIME: 00:00:01
LOAD AVERAGE: 0.00, 0.00, 0.00
     RELEASE: 6.12.117
     MACHINE: s390x  (unknown Mhz)
      MEMORY: 512 MB
       PANIC: "Kernel panic - not syncing: sysrq triggered crash"
"""
TASK = """\
    PID: 1
COMMAND: "sh"
   TASK: cc0000  [THREAD_INFO: cc0000]
    CPU: 1
  STATE: TASK_RUNNING (PANIC)
"""
STACKS = """\
PID: 0        TASK: 3fffff06f00       CPU: 0    COMMAND: "swapper/0"
 LOWCORE INFO:
  -psw      : 0x0404c00180000000 0x000003ffff93b196
  -function : smp_handle_ext_call at 3ffff93b196
  -prefix   : 0x1feec000
  -cpu timer: 0x1f400000133199d3
  -clock cmp: 0xe3a6b30dab0f9900
  -general registers:
     000000000000000000 000000000000000000
     000000000000000000 0x0000000000000005
     000000000000000000 000000000000000000
     000000000000000000 000000000000000000
     0x0706c00100001201 0x000003ffffe77c60
     0x000000001fdd3dc4 000000000000000000
     000000000000000000 0x000003ffffd322d0
     0x000003ffff93b196 0x000000001fdd3d20
  -access registers:
     0000000000 0x015133c0 0000000000 0000000000
     0000000000 0000000000 0000000000 0000000000
     0000000000 0000000000 0000000000 0000000000
     0000000000 0000000000 0000000000 0000000000

 #0 [1fdd3d60] do_ext_interrupt at 3ffff9314d0
 #5 [1fdd3e98] do_irq_async at 3ffff9315e0
 #0 [3ffffe77bc0] ext_int_handler at 3ffffd31cb2
 KERNEL-MODE INTERRUPT FRAME; pt_regs at 3ffffe77c60:
 PSW:  0706c00180000000 000003ffffd2ab70 (arch_cpu_idle+160)
 GPRS: 0000000000000000 000003ffffd2ab70 7ffffffedd6da32b 000000001fd94340
 #0 [3ffffe77d48] arch_cpu_idle at 3ffffd2ab70

PID: 1        TASK: cc0000            CPU: 1    COMMAND: "sh"
 LOWCORE INFO:
  -psw      : 0x0002000180000000 0x000003ffff935128
  -function : stop_run at 3ffff935128
  -prefix   : 0x00c9a000
 #3 [37fff803b68] panic at 3ffff94be68
#10 [37fff803c70] crash at 3ff7fa7a8e4 [zcrash]
#11 [37fff803e98] system_call at 3ffffd31858
#12 [37fff803f00] (null) at 200
 USER-MODE INTERRUPT FRAME; pt_regs at 37fff803f38:
 PSW:  0705200180000000 00000000011112ea (user space)
"""
PROCESSES = """\
      PID    PPID  CPU       TASK        ST  %MEM      VSZ      RSS  COMM
>       0       0   0     3fffff06f00    RU   0.0        0        0  [swapper/0]
>       1       0   1       cc0000       RU   0.3     2320     1488  sh
        3       2   0       cc2200       IN   0.0        0        0  [pool_workqueue_]
"""
MEMORY = """\
            1000:  0706c00100001201 000003ffffe77c60
            1010:  000000001fdd3dc4
"""
RELEASE = "6.12.1-test"
FRAMES = (
    Frame("stop_run", 0x1000),
    Frame("panic", 0x2000),
    Frame("sysrq_handle_crash", 0x3000),
    Frame("vfs_write", 0x4000),
    Frame("system_call", 0x5000),
)
TASKS = (Task(0xC80000, 1, "sh"), Task(0xC90000, 7, "kworker/0:1"))


def kernel_of(cpus: Sequence[CpuState]) -> KernelFacts:
    """What drgn finds: each CPU with a task of ``TASKS`` and the stack of ``FRAMES``."""
    return KernelFacts(
        cpus=tuple(
            Cpu(
                number=number,
                prefix=cpu.prefix,
                task=TASKS[number],
                running=TASKS[number].address,
                task_cpu=number,
                stack=tuple(frame.function for frame in FRAMES),
                addresses=tuple(frame.address for frame in FRAMES),
            )
            for number, cpu in enumerate(cpus)
        ),
        tasks=Tasks(Walk(TASKS), Walk(TASKS[::-1]), (), changing=False),
    )


def opinion_on(dump: Dump, cpus: Sequence[CpuState], pages: Sequence[int], panic: str) -> Opinion:
    """One that agrees with ``dump``, and with ``kernel_of``."""
    size = sum(end - start for start, end in dump.memory_map) >> 20
    return Opinion(
        version=(9, 0, 2),
        said=Said(0, ""),
        system={
            "RELEASE": RELEASE,
            "CPUS": str(len(cpus)),
            "MEMORY": f"{size} MB",
            "PANIC": f'"{panic}"',
        },
        panicked={"TASK": "c80000  [THREAD_INFO: c80000]", "STATE": "TASK_RUNNING (PANIC)"},
        active=tuple(
            ActiveTask(number, task.pid, task.address, task.comm, registers_of(cpu), FRAMES)
            for number, (cpu, task) in enumerate(zip(cpus, TASKS, strict=True))
        ),
        processes={task.address: Process(task.pid, task.comm) for task in TASKS},
        memory={
            address: dump.read(address, 8)
            for page in pages
            for address in range(page, page + PAGE, 8)
        },
    )


def registers_of(cpu: CpuState) -> dict[str, tuple[int, ...]]:
    """The registers by crash's names; ``cpu`` has the clock comparator as store status keeps it."""
    return {
        "psw": (cpu.psw_mask, cpu.psw_addr),
        "prefix": (cpu.prefix,),
        "cpu timer": (cpu.cpu_timer,),
        "clock cmp": (cpu.clock_comparator << 8 & (1 << 64) - 1,),
        "general": cpu.gprs,
        "access": cpu.acrs,
        "control": cpu.crs,
        "floating point": cpu.fprs,
    }
