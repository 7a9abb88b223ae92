"""Each fault of the kernel in a dump is found and named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import EvidenceError
from harness.triggers.table import TRIGGERS
from harness.triggers.trigger import PANIC, Trigger
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from harness.verify.run_checks import run_checks
from harness.verify.semantic import check as semantic
from harness.verify.semantic.check import check_kernel
from harness.verify.semantic.facts import FreeList, KernelFacts, SlabCache, Task, Walk
from tests.support.evidence import (
    VMCORE_INFO_NOTE,
    VMCORE_INFO_POINTER,
    SyntheticRun,
    collect_again,
    crashed_memory,
    elf_note,
)
from tests.support.kernels.facts import CONSOLE, IDLE, INIT, KERNEL, KSWAPD, KTHREADD, LOG, TASKS
from tests.support.kernels.vmlinux import ANOTHER_ID, ID, vmlinux

SYSRQ = TRIGGERS["sysrq-c"]
STRAY = Task(0xDEAD000, 77, "stray")


@pytest.fixture
def evidence(tmp_path):
    with Evidence.open(SyntheticRun(crash_console=CONSOLE).write(tmp_path)) as found:
        yield replace(found, trigger=SYSRQ)


def messages(result: CheckResult) -> list[str]:
    return [finding.message for finding in result.findings]


def test_a_sound_kernel_has_nothing_wrong(evidence):
    result = check_kernel(KERNEL, evidence)
    assert messages(result) == []
    # CPUs, lines, names, tasks, orders; each task and each cache once more; stacks
    assert result.compared == 2 + len(LOG) + 4 + 3 + 3 + 3 + 1 + 2
    assert result.notes == (
        "CPU 0, sh (pid 1, task 0xc68000): disabled_wait < panic < sysrq_handle_crash",
        "CPU 1, swapper/1 (pid 0, task 0xccd500): smp_stop_cpu",
    )


def cpu(number: int = 0, **changes: object) -> KernelFacts:
    assert KERNEL.cpus is not None
    cpus = list(KERNEL.cpus)
    cpus[number] = replace(cpus[number], **changes)
    return replace(KERNEL, cpus=tuple(cpus))


def tasks(**changes: object) -> KernelFacts:
    return replace(KERNEL, tasks=replace(KERNEL.tasks, **changes))


def log(*lines: str) -> KernelFacts:
    return replace(KERNEL, log=lines)


def names(**changes: object) -> KernelFacts:
    return replace(KERNEL, names=replace(KERNEL.names, **changes))


def zone(**changes: object) -> KernelFacts:
    assert KERNEL.zones is not None
    return replace(KERNEL, zones=(replace(KERNEL.zones[0], **changes),))


def slabs(**changes: object) -> KernelFacts:
    return replace(KERNEL, slabs=replace(KERNEL.slabs, **changes))


def stack(*functions: str) -> KernelFacts:
    assert KERNEL.stacks is not None
    first, *others = KERNEL.stacks
    return replace(KERNEL, stacks=(replace(first, functions=functions), *others))


WRONG: dict[str, tuple[KernelFacts, str]] = {
    "a part that cannot be read": (
        replace(KERNEL, zones=None, faults={"zones": "FaultError: memory fault: 0x10"}),
        "free lists: FaultError: memory fault: 0x10",
    ),
    "a CPU is not there": (
        replace(KERNEL, cpus=KERNEL.cpus[:1]),
        "CPUs: none in the dump has the prefix of CPU 1, 0x18000",
    ),
    "another stack": (
        cpu(stack=("disabled_wait", "panic", "do_exit")),
        "CPUs: no stack leads to sysrq_handle_crash, where the system crashed: CPU 0, sh (pid 1, "
        "task 0xc68000): disabled_wait < panic < do_exit; CPU 1, swapper/1 (pid 0, task "
        "0xccd500): smp_stop_cpu",
    ),
    "another process": (
        cpu(task=KSWAPD, running=KSWAPD.address),
        "CPUs: sysrq_handle_crash was called by kswapd0 (pid 28, task 0xc6a200), not by sh",
    ),
    "lowcore and run queue differ": (
        cpu(1, running=KTHREADD.address),
        "CPUs: CPU 1: the lowcore's current task is swapper/1 (pid 0, task 0xccd500), the run "
        "queue's is at 0xc69100",
    ),
    "a task on another CPU": (
        cpu(task_cpu=1),
        "CPUs: CPU 0: its current task sh (pid 1, task 0xc68000) is on CPU 1 by its own account",
    ),
    "another CPU's idle task": (
        cpu(1, task=replace(IDLE, comm="swapper/3")),
        "CPUs: CPU 1: its current task swapper/3 (pid 0, task 0xccd500) is not its idle task",
    ),
    "a task that nobody knows": (
        cpu(1, task=STRAY, running=STRAY.address),
        "CPUs: CPU 1: its current task stray (pid 77, task 0xdead000) is not in the list of tasks",
    ),
    "a broken next pointer": (
        tasks(forward=Walk(TASKS[:1], "memory fault: 0x0")),
        "task list: tasks.next after sh (pid 1, task 0xc68000): memory fault: 0x0",
    ),
    "a broken first prev pointer": (
        tasks(backward=Walk((), "memory fault: 0x8")),
        "task list: tasks.prev after init_task: memory fault: 0x8",
    ),
    "a task is left out on one way": (
        tasks(forward=Walk((INIT, KSWAPD)), leaders=(INIT.address, KSWAPD.address)),
        "task list: 2 tasks forwards, 3 backwards; where the one has kswapd0 (pid 28, task "
        "0xc6a200), the other has kthreadd (pid 2, task 0xc69100)",
    ),
    "a task has no process id": (
        tasks(leaders=(INIT.address, KSWAPD.address)),
        "task list: kthreadd (pid 2, task 0xc69100) is in the list, but has no process id",
    ),
    "a task is not in the list": (
        tasks(leaders=(*(task.address for task in TASKS), STRAY.address)),
        "task list: the task 0xdead000 has a process id, but is not in the list",
    ),
    "no log": (log(), "kernel log: is empty"),
    "a line of the log overwritten": (
        log(*LOG[:3], "[    0.621080] sysrq: XXXXXXX a crash", *LOG[4:]),
        "kernel log: has no line [0.621080] sysrq: Trigger a crash",
    ),
    "lines of the log exchanged": (
        log(*LOG[:3], LOG[4], LOG[3], *LOG[5:]),
        "kernel log: its lines come in another order than on the console",
    ),
    "another release": (
        names(release="6.12.11"),
        "UTS names: release is '6.12.11', but the console says 'Linux version 6.12.117 "
        "(zharness@zharness) (gcc (Debian) 12) #1 SMP @0'",
    ),
    "another version": (
        names(version="#2 SMP @0"),
        "UTS names: version is '#2 SMP @0', but the console says 'Linux version 6.12.117 "
        "(zharness@zharness) (gcc (Debian) 12) #1 SMP @0'",
    ),
    "another machine": (names(machine="s390"), "UTS names: machine is 's390', not 's390x'"),
    "another system": (names(sysname="linux"), "UTS names: sysname is 'linux', not 'Linux'"),
    "a broken free list": (
        zone(lists=(FreeList(0, 9, 2, "list_head 0x10 next->prev"),)),
        "free lists: zone DMA, order 0: after 2 blocks: list_head 0x10 next->prev",
    ),
    "a lost free block": (
        zone(lists=(FreeList(0, 1, 1), FreeList(3, 1, 0))),
        "free lists: zone DMA, order 3: 1 blocks are counted, 0 are listed",
    ),
    "a wrong count of free pages": (
        zone(free_pages=10),
        "free lists: zone DMA: 10 pages are counted as free, its lists count 9",
    ),
    "a broken slab cache": (
        slabs(caches=(SlabCache("dentry", 0, 0, "slab 0x20: freelist cycle"),)),
        "slab caches: dentry: slab 0x20: freelist cycle",
    ),
    "more free than there are": (
        slabs(caches=(SlabCache("dentry", 7, 8),)),
        "slab caches: dentry: 8 of 7 objects are free",
    ),
    "a task with nothing on its stack": (
        stack(),
        "stacks of tasks: kthreadd (pid 2, task 0xc69100): does not wait in the scheduler: nothing "
        "is on its stack",
    ),
    "a task that waits elsewhere": (
        stack("memset", "kthreadd", "__ret_from_fork"),
        "stacks of tasks: kthreadd (pid 2, task 0xc69100): does not wait in the scheduler: memset "
        "< kthreadd < __ret_from_fork",
    ),
    "a stack that leads nowhere": (
        stack("context_switch", "__schedule", "schedule", "0xdead"),
        "stacks of tasks: kthreadd (pid 2, task 0xc69100): does not lead to where the kernel was "
        "entered: context_switch < __schedule < schedule < 0xdead",
    ),
    "a task whose memory is free": (
        slabs(lost_tasks=(KSWAPD,)),
        "slab caches: kswapd0 (pid 28, task 0xc6a200) is no allocated object of the cache of tasks",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(evidence, name):
    facts, message = WRONG[name]
    result = check_kernel(facts, evidence)
    assert messages(result) == [message]
    assert not result.passed


def test_a_task_that_exits_may_have_left_the_list(evidence):
    running = cpu(1, task=STRAY, running=STRAY.address, exiting=True)
    assert messages(check_kernel(running, evidence)) == []


def test_another_death_than_the_triggers_is_noticed(evidence):
    oops = replace(evidence, trigger=replace(SYSRQ, console=TRIGGERS["oops"].console))
    (message,) = messages(check_kernel(KERNEL, oops))
    assert message.startswith(f"kernel log: nothing in it matches '{PANIC}Fatal exception'; ")
    assert "it ends with: CPU: 0 UID: 0 PID: 1" in message


def test_a_panic_after_the_triggers_is_noticed(evidence):
    later = log(*LOG, "[    0.700000] Kernel panic - not syncing: another one")
    (message,) = messages(check_kernel(later, evidence))
    assert message.endswith("there is another: Kernel panic - not syncing: another one")


def test_many_missing_lines_are_counted(evidence):
    numbered = tuple(f"[    1.{number:06d}] line {number}" for number in range(10))
    told = replace(evidence, trigger=None, crash_console=numbered)
    found = messages(check_kernel(log("[    0.000001] first"), told))
    assert found[-1] == "kernel log: 10 of 10 lines on the console are not in it"
    assert len(found) == 6


NEW_TASK = stack("ret_from_fork")
ALLOWED: dict[str, tuple[KernelFacts, Trigger | None, tuple[str, ...]]] = {
    "a task that is being switched to": (
        cpu(1, running=KTHREADD.address, stack=("context_switch", "__schedule")),
        SYSRQ,
        CONSOLE,
    ),
    "a list of tasks that is being changed": (
        tasks(forward=Walk(TASKS[:2]), changing=True),
        SYSRQ,
        CONSOLE,
    ),
    "a task that has not run yet": (NEW_TASK, SYSRQ, CONSOLE),
    "a zone that is being changed": (zone(free_pages=10, changing=True), SYSRQ, CONSOLE),
    "a log that was too long for its buffer": (log(*LOG[3:]), SYSRQ, CONSOLE),
    "a line that did not come to the console": (
        log(*LOG, "[    0.630000] more"),
        SYSRQ,
        CONSOLE[:-1],
    ),
    "the caller's id on the console": (
        KERNEL,
        SYSRQ,
        tuple(line.replace("] CPU", "][    T1] CPU") for line in CONSOLE),
    ),
    "nothing of the kernel on the console": (KERNEL, SYSRQ, ("zharness# echo",)),
    "an operator who stops a system": (
        log(*LOG[:3]),
        TRIGGERS["operator"],
        CONSOLE[:4],
    ),
    "a trigger that nobody knows": (cpu(stack=()), None, CONSOLE),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_these_differences_are_allowed(evidence, name):
    facts, trigger, console = ALLOWED[name]
    told = replace(evidence, trigger=trigger, crash_console=console)
    assert messages(check_kernel(facts, told)) == []


def test_facts_unknown_to_drgn_are_a_note(evidence):
    facts = replace(KERNEL, slabs=None, unknown={"slabs": "AttributeError: no member 'x'"})
    result = check_kernel(facts, evidence)
    assert result.passed
    assert result.notes[-1] == "slab caches: not read: AttributeError: no member 'x'"


def crash_of(build_id: bytes) -> SyntheticRun:
    """A crash of the kernel with that build-id, a dump of it, and a vmlinux on record."""
    note = b"OSRELEASE=6.12.1\nBUILD-ID=" + build_id.hex().encode() + b"\nPAGESIZE=4096\n"
    memory, whole = bytearray(crashed_memory()), elf_note(b"VMCOREINFO", 0, note)
    memory[VMCORE_INFO_NOTE : VMCORE_INFO_NOTE + len(whole)] = whole
    return SyntheticRun(memory=bytes(memory), vmcoreinfo=note)


def checked(root: Path, vmlinux: Path | None = None) -> CheckResult:
    with Evidence.open(root, vmlinux) as evidence:
        return semantic.check(evidence)


def recorded(path: Path) -> dict[str, object]:
    content = path.read_bytes() if path.exists() else b""
    sha256 = hashlib.sha256(content).hexdigest()
    return {"kernel": {"vmlinux": {"path": str(path), "sha256": sha256, "build_id": ID.hex()}}}


def test_no_vmlinux_is_a_reason_to_skip(tmp_path):
    result = checked(SyntheticRun().write(tmp_path))
    assert result.skipped_reason == "no vmlinux of the crashed kernel is recorded"
    for kernel in (None, {"vmlinux": None}):
        root = SyntheticRun(machine={"kernel": kernel}).write(tmp_path / repr(kernel))
        assert checked(root).skipped_reason == result.skipped_reason


@pytest.mark.parametrize("kernel", [[1], {"vmlinux": [1]}, {"vmlinux": {"sha256": ""}}])
def test_a_record_that_makes_no_sense_is_an_error(tmp_path, kernel):
    root = SyntheticRun(machine={"kernel": kernel}).write(tmp_path)
    with pytest.raises(EvidenceError, match=r"crash/machine\.json: kernel"):
        checked(root)


def test_a_vmlinux_that_is_gone_is_a_reason_to_skip(tmp_path):
    run = replace(crash_of(ID), machine=recorded(tmp_path / "gone"))
    reason = checked(run.write(tmp_path / "run")).skipped_reason
    assert reason == f"the crashed kernel's vmlinux is not there any more: {tmp_path / 'gone'}"


def test_a_kernel_that_has_no_build_id_is_a_reason_to_skip(tmp_path):
    (tmp_path / "vmlinux").write_bytes(vmlinux(ID))
    run = SyntheticRun(machine=recorded(tmp_path / "vmlinux"))
    assert "BUILD-ID" in str(checked(run.write(tmp_path / "run")).skipped_reason)


def test_an_early_crash_says_what_is_not_checked(tmp_path):
    (tmp_path / "vmlinux").write_bytes(vmlinux(ID))
    memory = bytearray(crashed_memory())
    memory[VMCORE_INFO_POINTER : VMCORE_INFO_POINTER + 8] = (0x80001).to_bytes(8, "big")
    run = SyntheticRun(
        memory=bytes(memory), vmcoreinfo=None, machine=recorded(tmp_path / "vmlinux")
    )
    reason = str(checked(run.write(tmp_path / "run")).skipped_reason)
    assert reason.startswith("early: the kernel had not set VMCOREINFO yet")
    assert reason.endswith("stacks, log, names, tasks and free memory are not checked")


@pytest.mark.parametrize(
    ("content", "which"),
    [
        (vmlinux(ANOTHER_ID), f"its build-id is {ANOTHER_ID.hex()}, the kernel's {ID.hex()}"),
        (vmlinux(None), f"its build-id is none, the kernel's {ID.hex()}"),
        (b"no ELF", "is not an ELF file"),
    ],
)
def test_another_kernels_vmlinux_is_an_error(tmp_path, content, which):
    path = tmp_path / "vmlinux"
    path.write_bytes(content)
    run = replace(crash_of(ID), machine=recorded(path)).write(tmp_path / "run")
    trouble = checked(run).trouble
    assert isinstance(trouble, EvidenceError)
    assert str(path) in trouble.message
    assert which in trouble.message
    assert "--vmlinux" in str(trouble.hint)


def test_a_vmlinux_that_has_changed_is_an_error(tmp_path):
    path = tmp_path / "vmlinux"
    path.write_bytes(vmlinux(ID))
    root = replace(crash_of(ID), machine=recorded(path)).write(tmp_path / "run")
    path.write_bytes(vmlinux(ID) + b"x")  # its build-id is the same
    trouble = checked(root).trouble
    assert isinstance(trouble, EvidenceError)
    assert "vmlinux has changed since it was recorded: its SHA-256" in trouble.message
    assert checked(root, path).trouble is None, "one that is given was never recorded"


def with_run_inputs(root: Path, path: Path) -> None:
    document = json.loads((root / "run.json").read_bytes())
    document["inputs"] = {"crashed kernel": {"vmlinux": {"path": str(path)}}}
    (root / "run.json").write_text(json.dumps(document))


def test_the_runs_own_vmlinux_comes_before_the_crashs_and_one_that_is_given_before_both(tmp_path):
    run = replace(crash_of(ID), machine=recorded(tmp_path / "crash"))
    root = run.write(tmp_path / "run")
    gone = "the crashed kernel's vmlinux is not there any more: "
    assert checked(root).skipped_reason == f"{gone}{tmp_path / 'crash'}"
    with_run_inputs(root, tmp_path / "own")
    assert checked(root).skipped_reason == f"{gone}{tmp_path / 'own'}"
    assert checked(root, tmp_path / "given").skipped_reason == f"{gone}{tmp_path / 'given'}"


def test_the_dump_that_is_no_kernel_is_a_finding_for_each_part(tmp_path):
    """Synthetic memory: drgn itself is asked, and finds nothing it could read."""
    path = tmp_path / "vmlinux"
    path.write_bytes(vmlinux(ID))
    run = replace(crash_of(ID), machine=recorded(path))
    result = checked(run.write(tmp_path / "run"))
    assert not result.passed
    assert {message.partition(":")[0] for message in messages(result)} == {
        *("CPUs", "kernel log", "UTS names", "task list", "stacks of tasks", "free lists"),
        "slab caches",
    }


def test_without_a_dump_there_is_no_kernel(tmp_path):
    path = tmp_path / "vmlinux"
    path.write_bytes(vmlinux(ID))
    root = replace(crash_of(ID), machine=recorded(path)).write(tmp_path / "run")
    (root / "dump/dump").unlink()
    collect_again(root)
    assert messages(checked(root)) == [
        "no kernel: the dump system left no dump: what was there",
    ]


def test_it_is_one_of_the_checks(tmp_path):
    with Evidence.open(SyntheticRun().write(tmp_path)) as evidence:
        results = {result.check: result for result in run_checks(evidence).dump}
    assert results[semantic.CHECK].skipped_reason
