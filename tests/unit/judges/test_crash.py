"""Whether crash and our readers agree, with an invented crash on small dumps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.dump.formats.elf.reader import ElfDump
from harness.errors import EvidenceError, HostError
from harness.images.store import Store
from harness.judges.crash import agreement, judge
from harness.judges.crash.guest import Crash, Opinion, opinion_in
from harness.judges.crash.output import Process
from harness.judges.guest import Said
from harness.progress import NoProgress
from harness.verify.findings import CheckResult
from harness.verify.semantic.facts import KernelFacts
from tests.support.disks.ext import PARTITION_AT, PARTITION_SIZE, add, make_disk
from tests.support.dumps.alone import limited_elf
from tests.support.dumps.crash import (
    PROCESSES,
    RELEASE,
    STACKS,
    SYSTEM,
    TASK,
    TASKS,
    VERSION,
    kernel_of,
    opinion_on,
)
from tests.support.evidence import stored
from tests.support.kernels.crashed_kernel import PANIC, CrashedKernel
from tests.support.kernels.vmlinux import vmlinux

BUILD_ID = bytes.fromhex("0123456789abcdef")
CRASHED = CrashedKernel()
CPUS = [stored(cpu) for cpu in CRASHED.cpus]
FACTS = kernel_of(CPUS)
Change = Callable[[Opinion], Opinion]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dumps") / "dump"
    path.write_bytes(CRASHED.elf())
    return path


def test_crash_is_not_asked_about_a_limited_dump(tmp_path: Path):
    limited = tmp_path / "limited"
    limited.write_bytes(limited_elf(0x300000))
    assert judged(limited, tmp_path / "vmlinux").skipped_reason == (
        "the dump was limited, and crash does not start without all of memory"
    )


def same(opinion: Opinion) -> Opinion:
    return opinion


def checked(path: Path, change: Change = same, facts: KernelFacts = FACTS) -> CheckResult:
    with open_dump(path) as dump:
        pages = agreement.pages_to_read(dump)
        opinion = opinion_on(dump, CPUS, pages, PANIC)
        return agreement.check(dump, facts, change(opinion), pages)


def test_agreement_counts_all_that_was_compared(path: Path):
    result = checked(path)
    assert result.passed, result.findings
    singles, banks = 5, 4 * 16
    with open_dump(path) as dump:
        pages = len(agreement.pages_to_read(dump))
    facts, processes, frames = 5, 2, 5
    assert result.compared == facts + pages + processes + 2 * (singles + banks + 1 + frames)
    assert (result.allowed, result.notes) == ((), ("crash 9.0.2",))


def test_pages_are_spread_over_all_memory_that_has_content(path: Path):
    with open_dump(path) as dump:
        pages = agreement.pages_to_read(dump)
        data = list(dump.data_ranges())
    assert 1 < len(pages) <= agreement.SAMPLES
    assert all(any(start <= page < end for start, end in data) for page in pages)
    assert pages == tuple(sorted(set(pages)))


def system(**facts: str) -> Change:
    return lambda opinion: replace(opinion, system={**opinion.system, **facts})


def of_cpu(number: int, **values: Any) -> Change:
    def change(opinion: Opinion) -> Opinion:
        active = list(opinion.active)
        active[number] = replace(active[number], **values)
        return replace(opinion, active=tuple(active))

    return change


def register(name: str, at: int, flip: int = 1) -> Change:
    def change(opinion: Opinion) -> Opinion:
        registers = dict(opinion.active[1].registers)
        values = list(registers[name])
        values[at] ^= flip
        registers[name] = tuple(values)
        return of_cpu(1, registers=registers)(opinion)

    return change


def without_bank(opinion: Opinion) -> Opinion:
    registers = {**opinion.active[0].registers, "control": (1, 2)}
    return of_cpu(0, registers=registers)(opinion)


def other_word(opinion: Opinion) -> Opinion:
    (address, *_) = opinion.memory
    return replace(opinion, memory={**opinion.memory, address + 8: b"otherone"})


def process(found: Process | None) -> Change:
    def change(opinion: Opinion) -> Opinion:
        processes = dict(opinion.processes)
        del processes[TASKS[1].address]
        if found is not None:
            processes[TASKS[1].address] = found
        return replace(opinion, processes=processes)

    return change


def panicked(task: str) -> Change:
    return lambda opinion: replace(opinion, panicked={**opinion.panicked, "TASK": task})


CPU_1 = CPUS[1]
DIFFERENT: dict[str, tuple[Change, str]] = {
    "release": (system(RELEASE="6.1"), f"kernel release: crash has '6.1', we '{RELEASE}'"),
    "CPUs": (system(CPUS="3"), "CPUs: crash has 3, we 2"),
    "offline": (system(CPUS="2 [OFFLINE: 1]"), "CPUs: crash has 1, we 2"),
    "no CPUs": (system(CPUS="many"), "CPUs: crash has nothing, we 2"),
    "memory": (system(MEMORY="1 GB"), "memory: crash has 1 GB, we "),
    "no memory": (system(MEMORY=""), "memory: crash has , we "),
    "panic": (system(PANIC='"out of tea"'), f"panic: crash has 'out of tea', we '{PANIC}'"),
    "PSW": (register("psw", 1), f"CPU 1: PSW 1: crash has {CPU_1.psw_addr ^ 1:#x}, we "),
    "GPR": (register("general", 9), f"CPU 1: gpr 9: crash has {CPU_1.gprs[9] ^ 1:#x}, we "),
    "high bit": (register("floating point", 0, 1 << 63), "CPU 1: fpr 0: crash has "),
    "comparator": (register("clock cmp", 0), "CPU 1: clock comparator: crash has "),
    "prefix": (register("prefix", 0), f"CPU with prefix {CPU_1.prefix:#x}: crash has none"),
    "bank": (without_bank, "CPU 0: cr 0: crash has nothing, we "),
    "memory's word": (other_word, "memory at 0x"),
    "no words": (lambda opinion: replace(opinion, memory={}), "memory at 0x"),
    "task": (of_cpu(0, task=0xDEAD), "CPU 0: current task: crash has ('0xdead', 1, 'sh'), we "),
    "name": (of_cpu(0, comm="\x1b[2J"), r"CPU 0: current task: crash has ('0xc80000', 1, '\x1b[2J"),
    "no task": (lambda opinion: replace(opinion, active=opinion.active[:1]), "CPU 1: current task"),
    "twice": (
        lambda opinion: replace(opinion, active=opinion.active * 2),
        "stacks of CPUs: crash has 4, we 2",
    ),
    "stack": (of_cpu(1, frames=()), "CPU 1: stack: crash lacks stop_run at 0x1000"),
    "process": (process(Process(8, "kworker/0:1")), "process 0xc90000: crash has (8, 'kworker/0:1"),
    "no process": (process(None), "process 0xc90000: crash has nothing, we (7, 'kworker/0:1')"),
    "panic task": (panicked("dead"), "panic task: crash has 'dead', we sh (pid 1, task 0xc80000)"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_disagreement_is_red(path: Path, name: str):
    change, message = DIFFERENT[name]
    result = checked(path, change)
    assert not result.passed
    assert any(finding.message.startswith(message) for finding in result.findings), result.findings


@pytest.mark.parametrize(
    "change",
    [
        process(Process(7, "[kworker/0:1]")),
        system(PANIC=f'"{PANIC}" (check log for details)'),
        lambda opinion: replace(opinion, panicked={"STATE": "TASK_RUNNING (ACTIVE)"}),
    ],
)
def test_these_are_only_written_in_another_way(path: Path, change: Change):
    assert checked(path, change).findings == ()


def test_memory_that_was_left_out_counts(path: Path, monkeypatch: pytest.MonkeyPatch):
    assert not checked(path, system(MEMORY="1 GB")).passed
    monkeypatch.setattr(ElfDump, "left_out", [(1 << 40, (1 << 40) + (1 << 30))])
    assert checked(path, system(MEMORY="1 GB")).passed
    assert not checked(path, system(MEMORY="2 GB")).passed


def test_a_kernel_may_use_less_memory(path: Path):
    result = checked(path, system(MEMORY="1 MB"))
    assert result.passed
    assert result.allowed == (agreement.LESS_MEMORY,)


def test_what_drgn_cannot_read_is_a_note(path: Path):
    result = checked(path, facts=KernelFacts(faults={"cpus": "FaultError", "log": "x"}))
    assert result.passed
    assert result.notes == ("crash 9.0.2", "cpus: not compared: FaultError")


REFUSED = "crash: /dev/sda: not a supported file format\n\nUsage:\n\n  crash [OPTION]...\n"
MISFIT = "crash: invalid structure member offset: task_struct_state"
NO_BANNER = 'crash: read error: kernel virtual address: 3ffffd60640  type: "linux_banner"'


def ended(status: int, text: str, version: tuple[int, ...] = (9, 0, 2)) -> Change:
    return lambda opinion: replace(opinion, said=Said(status, text), version=version)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (ended(1, REFUSED), "crash ended with 1: 'crash: /dev/sda: not a supported file format'"),
        (ended(1, NO_BANNER), f"crash ended with 1: {NO_BANNER!r}"),
        (ended(1, ""), "crash ended with 1: nothing"),
    ],
)
def test_a_dump_that_crash_does_not_open_is_red(path: Path, change: Change, message: str):
    result = checked(path, change)
    assert [finding.message for finding in result.findings] == [message]
    assert not result.passed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (ended(1, MISFIT), f"crash 9.0.2 cannot read kernel {RELEASE}: it says {MISFIT!r}"),
        (
            ended(1, NO_BANNER, (8, 0, 2)),
            f"crash 8.0.2 cannot read kernel {RELEASE}: it was seen to read older ones only, or "
            f"none, and says {NO_BANNER!r}",
        ),
    ],
)
def test_a_crash_that_does_not_know_the_kernel_says_nothing(path: Path, change: Change, why: str):
    result = checked(path, change)
    assert (result.skipped_reason, result.findings) == (why, ())


@dataclass
class FakeCrash:
    """Agrees; knows which formats it would be asked about."""

    asked: list[tuple[str, Path]] = field(default_factory=list)

    def unknown(self, path: Path, dump: Any) -> str | None:
        return Crash(Store(Path("store"), NoProgress()), NoProgress()).unknown(path, dump)

    def judge(self, path: Path, form: str, vmlinux: Path, pages: Sequence[int]) -> Opinion:
        self.asked.append((form, vmlinux))
        with open_dump(path) as dump:
            return opinion_on(dump, CPUS, pages, PANIC)


def judged(path: Path, vmlinux: Path | None) -> CheckResult:
    crash = cast("Crash", FakeCrash())
    with open_dump(path) as dump:
        return judge.check(path, dump, vmlinux, crash, lambda dump, vmlinux: FACTS)


@pytest.fixture
def symbols(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(vmlinux(BUILD_ID))
    return path


@pytest.mark.parametrize("form", ["elf", "s390"])
def test_it_is_asked_about_formats_that_it_knows(
    path: Path, tmp_path: Path, symbols: Path, form: str
):
    with open_dump(path) as dump:
        convert(dump, tmp_path / form, form, NoProgress())
    result = judged(tmp_path / form, symbols)
    assert result.passed, result.findings
    assert result.skipped_reason is None


def test_it_does_not_know_s390_ext(path: Path, tmp_path: Path, symbols: Path):
    with open_dump(path) as dump:
        convert(dump, tmp_path / "dump", "s390_ext", NoProgress())
    assert judged(tmp_path / "dump", symbols).skipped_reason == (
        "crash knows elf, s390, kdump, not s390_ext"
    )


def test_it_finds_no_dump_in_a_file_system(path: Path, tmp_path: Path, symbols: Path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "dump.0", path.read_bytes(), 1000)
    assert "crash finds no dump in" in str(judged(disk, symbols).skipped_reason)


def test_it_is_not_asked_without_the_kernels_vmlinux(path: Path, tmp_path: Path):
    why = judged(path, None).skipped_reason
    assert why == "crash needs vmlinux of the crashed kernel, and none is known"
    assert "is not there" in str(judged(path, tmp_path / "gone").skipped_reason)
    (tmp_path / "vmlinux").write_bytes(vmlinux(bytes(20)))
    with pytest.raises(EvidenceError, match="is not that of the kernel that crashed"):
        judged(path, tmp_path / "vmlinux")


def disk_of_results(directory: Path, **files: str) -> Path:
    """The file system alone, as the guest's disk has it."""
    disk = make_disk(directory, "ext4")
    for name, text in files.items():
        add(disk, name.replace("_", "."), text.encode(), 1000)
    results = directory / "results"
    with disk.open("rb") as whole:
        whole.seek(PARTITION_AT)
        results.write_bytes(whole.read(PARTITION_SIZE))
    return results


SAID = {"version_err": VERSION, "version_status": "0\n", "crash_err": "", "crash_status": "0\n"}


def test_what_it_left_on_the_disk_is_read(tmp_path: Path):
    text = {"system": SYSTEM, "task": TASK, "stacks": STACKS, "processes": PROCESSES}
    opinion = opinion_in(disk_of_results(tmp_path, **SAID, **text))
    assert opinion.version == (9, 0, 2)
    assert opinion.said == Said(0, "")
    assert (len(opinion.active), len(opinion.processes), opinion.memory) == (2, 3, {})


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"crash_status": "137\n", "crash_err": "x\nKilled\n"}, "exit status is 137.*'Killed'"),
        ({"crash_status": "139\n"}, "exit status is 139.*'nothing'"),
        ({"crash_status": "127\n", "crash_err": "crash: not found"}, "exit status is 127"),
        ({"version_err": "cannot open shared object file"}, "did not start"),
    ],
)
def test_one_that_was_killed_has_no_opinion(tmp_path: Path, told: dict[str, str], message: str):
    with pytest.raises(HostError, match=message):
        opinion_in(disk_of_results(tmp_path, **SAID | told))


def test_a_guest_that_left_nothing_has_no_opinion(tmp_path: Path):
    with pytest.raises(EvidenceError, match=r"no version\.status"):
        opinion_in(disk_of_results(tmp_path))
