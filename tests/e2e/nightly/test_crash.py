"""The real crash utility agrees about one crash in every format that it knows, and finds faults."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.dump.linux.crashed_kernel import Kernel
from harness.dump.reader import Dump
from harness.host.paths import default_store
from harness.images.initramfs.build import IMAGE
from harness.images.provide import Images
from harness.images.store import Store
from harness.judges.crash import agreement, judge
from harness.judges.crash.guest import Crash
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.report.verdict import Result
from harness.run import engine
from harness.run.plan import Plan, plan_of_crash
from harness.s390x.cpu import CpuState
from harness.scenario.load import load
from harness.verify.findings import CheckResult
from harness.verify.semantic.process import read_kernel
from tests.support.dumps.kdump import flat, whole_kdump

pytestmark = pytest.mark.e2e

QUIET = NoProgress()
MIB = 1 << 20
MEMORY = 256 * MIB
SECONDS = 120


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(default_store(), QUIET)


@pytest.fixture(scope="module")
def vmlinux(store: Store) -> Path:
    kernel = Images(store, QUIET).crashed_kernel()
    assert kernel.vmlinux is not None
    return Path(kernel.vmlinux.path)


@pytest.fixture(scope="module")
def elf(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dump of a crash in which no register is zero."""
    return dumped(store, tmp_path_factory, smp=4, trigger="registers-running")


@pytest.fixture(scope="module")
def panicked(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dump of a crash in which a CPU is in panic()."""
    return dumped(store, tmp_path_factory, smp=2, trigger="sysrq-c")


def dumped(
    store: Store, tmp_path_factory: pytest.TempPathFactory, *, smp: int, trigger: str
) -> Path:
    plan = Plan("quick", load("quick", {"crashed": {"smp": smp, "trigger": trigger}}))
    crash = engine.create_snapshot(plan, store=store, progress=QUIET)
    verdict = engine.dump_snapshot(
        crash,
        plan_of_crash(crash, {"hsa_size": 32 * MIB}),
        output=tmp_path_factory.mktemp("crash") / "run",
        store=store,
        progress=QUIET,
    )
    assert verdict.result is Result.PASS, verdict.to_json()
    return verdict.directory / "dump/dump"


def judged(path: Path, vmlinux: Path, store: Store) -> CheckResult:
    with open_dump(path) as dump:
        return judge.check(path, dump, vmlinux, Crash(store, QUIET))


def states(dump: Dump) -> list[CpuState]:
    return [state for cpu in dump.cpus if (state := cpu.whole) is not None]


def kdump(dump: Dump, target: Path) -> None:
    target.write_bytes(whole_kdump(dump, states(dump)))


def flattened(dump: Dump, target: Path) -> None:
    """Records in another order than that of the dump."""
    content = whole_kdump(dump, states(dump))
    middle = len(content) // 2
    pieces = [(0, 4096), (middle, len(content)), (4096, middle)]
    target.write_bytes(flat(content, pieces))


FORMATS: dict[str, Callable[[Dump, Path], None]] = {
    "elf": partial(convert, form="elf", progress=QUIET),
    "s390": partial(convert, form="s390", progress=QUIET),
    "kdump": kdump,
    "flattened": flattened,
}


@pytest.mark.parametrize("form", FORMATS)
def test_crash_agrees_about_every_format(
    elf: Path, vmlinux: Path, store: Store, tmp_path: Path, form: str
):
    with open_dump(elf) as dump:
        FORMATS[form](dump, tmp_path / form)
    result = judged(tmp_path / form, vmlinux, store)
    assert (result.skipped_reason, result.findings) == (None, ())
    assert result.compared > 4 * 69 + agreement.SAMPLES


def other_register(source: Path, target: Path) -> None:
    """General register 7 of the second CPU, in its note."""
    content = bytearray(source.read_bytes())
    with open_dump(source) as dump:
        cpu = states(dump)[1]
    note = struct.pack(">18Q", cpu.psw_mask, cpu.psw_addr, *cpu.gprs)  # a part of prstatus
    assert content.count(note) == 1
    content[content.index(note) + 9 * 8 + 2] ^= 1
    target.write_bytes(content)


def other_stack(source: Path, target: Path, prefix: int) -> None:
    """The page of a CPU's stack pointer."""
    content = bytearray(source.read_bytes())
    with open_dump(source) as dump:
        (cpu,) = [cpu for cpu in states(dump) if cpu.prefix == prefix]
        page = dump.read(Kernel(dump).translate(cpu.gprs[15]) & -4096, 4096)
    assert content.count(page) == 1
    at = content.index(page)
    content[at : at + 4096] = struct.pack(">Q", 0xDEAD_BEEF_0000) * 512
    target.write_bytes(content)


def test_crash_reports_a_register_that_is_wrong(
    elf: Path, vmlinux: Path, store: Store, tmp_path: Path
):
    other_register(elf, tmp_path / "dump")
    messages = differences(elf, tmp_path / "dump", vmlinux, store)
    assert len(messages) == 1
    assert messages[0].startswith("CPU 1: gpr 7: crash has ")


def test_crash_reports_a_stack_that_is_wrong(
    panicked: Path, vmlinux: Path, store: Store, tmp_path: Path
):
    cpus = read_kernel(panicked, vmlinux).cpus
    (cpu,) = [cpu for cpu in cpus or () if "panic" in cpu.stack]
    other_stack(panicked, tmp_path / "dump", cpu.prefix)
    messages = differences(panicked, tmp_path / "dump", vmlinux, store)
    said = f"CPU {cpu.number}: stack: crash "
    assert any(message.startswith(said) for message in messages), messages


def test_crash_does_not_open_what_is_no_dump(
    elf: Path, vmlinux: Path, store: Store, tmp_path: Path
):
    (tmp_path / "dump").write_bytes(bytes(MIB))
    (message,) = differences(elf, tmp_path / "dump", vmlinux, store)
    assert message == "crash ended with 1: 'crash: /dev/sda: not a supported file format'"


def differences(good: Path, wrong: Path, vmlinux: Path, store: Store) -> list[str]:
    """What crash says of a wrong dump, held against the good one."""
    with open_dump(good) as dump:
        pages = agreement.pages_to_read(dump)
        opinion = Crash(store, QUIET).judge(wrong, dump.format, vmlinux, pages)
        result = agreement.check(dump, read_kernel(good, vmlinux), opinion, pages)
    assert result.skipped_reason is None
    return [finding.message for finding in result.findings]


@pytest.fixture(scope="module")
def qemus(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dumps that QEMU itself writes of a crashed system, by their format."""
    home, images = tmp_path_factory.mktemp("qemu"), Images(store, QUIET)
    kernel = images.crashed_kernel()
    spec = MachineSpec(
        memory=MEMORY,
        cpus=2,
        kernel=kernel.image,
        initrd=images.crashed_initramfs(kernel).path / IMAGE,
        append="console=ttysclp0 panic=0",
    )
    with (
        GuestRam.create(MEMORY) as ram,
        Qemu.start(find_qemu(), spec, ram, home, name="crash") as qemu,
    ):
        qemu.console.expect_exact(["zharness# "], timeout=SECONDS)
        qemu.console.sendline("echo c > /proc/sysrq-trigger")
        assert qemu.monitor.wait_event(("GUEST_PANICKED",), Deadline(SECONDS)) is not None
        for form in ("elf", "kdump-zlib"):
            how = {"paging": False, "protocol": f"file:{home / form}", "format": form}
            qemu.monitor.execute("dump-guest-memory", how, deadline=Deadline(SECONDS))
    return home


@pytest.mark.parametrize("form", ["elf", "kdump-zlib"])
def test_crash_agrees_about_qemus_own_dumps(qemus: Path, vmlinux: Path, store: Store, form: str):
    result = judged(qemus / form, vmlinux, store)
    assert (result.skipped_reason, result.findings) == (None, ())
