"""Every scenario of CI, in one batch, and checks that need the evidence of some of them."""

from __future__ import annotations

import json
import os
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.dump.detect import open_dump
from harness.evidence.journal import Journal
from harness.files import sparse
from harness.host.paths import data_dir, default_store
from harness.images.initramfs.build import IMAGE
from harness.images.provide import Images
from harness.images.store import Store
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.spec import MachineSpec
from harness.run.phases import Phases
from harness.s390x.lowcore import PAGE_SIZE
from harness.scenario.load import load_all
from harness.triggers.known_content import known_content
from harness.triggers.lkdtm import CRASHES, NO_CRASH
from harness.triggers.lockup import PROVOKE
from harness.triggers.workloads import CONTENT_SEED
from harness.verify.checks import registers
from harness.verify.evidence import Evidence
from harness.verify.kinds import RegisterOfDump
from tests.support.findings import details

pytestmark = pytest.mark.e2e

FILES = sorted((data_dir() / "scenarios").glob("*.toml"))
NAMES = [each.name for file in FILES for each in load_all(str(file))]
BATCH_SECONDS = 3000
MEMORY = 256 << 20
LOCKED = "lkdtm_HARDLOCKUP"  # the function that loops with interrupts off
INTERRUPTIONS = 0x0300_0000_0000_0000  # PSW mask: I/O and external


@pytest.fixture(scope="module")
def ran(zharness, images, tmp_path_factory):
    """Name -> result of that scenario; all run in parallel."""
    output = tmp_path_factory.mktemp("scenarios") / "evidence"
    done = zharness("run", *FILES, "--json", "--output", output, timeout=BATCH_SECONDS)
    assert done.out, done.err
    return {run["name"]: run for run in done.json["runs"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_scenario_has_its_expected_verdict(ran, name):
    assert ran[name]["verdict"] == "PASS", ran[name]


def test_nothing_else_was_run(ran):
    assert list(ran) == NAMES


def cpus(run):
    return json.loads(Path(run["directory"], "crash/cpus.json").read_bytes())["cpus"]


def test_a_cpu_that_loops_with_interrupts_off_is_dumped_as_such(ran):
    run = ran["operator-busy[workload=irqs-off,smp=8]"]
    *others, last = cpus(run)
    assert len(others) == 7
    assert int(last["psw_mask"], 16) & INTERRUPTIONS == 0
    verdict = json.loads(Path(run["directory"], "verdict.json").read_bytes())
    (notes,) = [check["notes"] for check in verdict["checks"] if check["check"] == "semantic"]
    # the others compute; on a busy host all of them may be in a timer interruption
    locked = [note.partition(",")[0] for note in notes if LOCKED in note]
    assert locked == ["CPU 7"]


def machine(run):
    return json.loads(Path(run["directory"], "crash/machine.json").read_bytes())


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("workloads[")])
def test_a_system_under_load_dies_in_the_middle_of_its_work(ran, name):
    counter = machine(ran[name])["workload_counter"]
    assert counter["before"] < counter["after"]


def test_content_of_the_page_cache_is_in_the_dump(ran):
    run = ran["workloads[workload=page-cache]"]
    files = machine(run)["workload_files"]
    assert [file["path"][-3:] for file in files] == [f"{number:03}" for number in range(100)]
    wanted = {
        content[at : at + PAGE_SIZE]
        for number, file in enumerate(files)
        for content in (known_content(CONTENT_SEED, number, file["size"]),)
        for at in range(0, file["size"], PAGE_SIZE)
    }
    with open_dump(Path(run["directory"], "dump/dump")) as dump:
        for part in dump.data_ranges():
            data = dump.read(part.start, part.end - part.start)
            pages = range(-part.start % PAGE_SIZE, len(data), PAGE_SIZE)
            wanted.difference_update(data[at : at + PAGE_SIZE] for at in pages)
    assert wanted == set()


# note type -> the registers in it: name, number of the first one, offset, bytes each, how many
# (arch/s390/include/asm/elf.h; include/uapi/linux/elf.h)
NOTES = {
    0x1: (
        ("PSW mask", None, 112, 8, 1),
        ("PSW address", None, 120, 8, 1),
        ("gpr", 0, 128, 8, 16),
        ("acr", 0, 256, 4, 16),
    ),
    0x2: (("fpc", None, 0, 4, 1), ("fpr", 0, 8, 8, 16)),
    0x301: (("CPU timer", None, 0, 8, 1),),
    0x302: (("clock comparator", None, 0, 8, 1),),
    0x303: (("TOD programmable register", None, 0, 4, 1),),
    0x304: (("cr", 0, 0, 8, 16),),
    0x305: (("prefix", None, 0, 4, 1),),
    0x309: (("right half of vr", 0, 0, 8, 16),),
    0x30A: (("vr", 16, 0, 16, 16),),
}


def places(path):
    """(CPU, register, offset in the file, bytes) of each register in the notes of an ELF dump."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    (table,), (entries,) = struct.unpack_from(">Q", head, 32), struct.unpack_from(">H", head, 56)
    headers = [struct.unpack_from(">2I6Q", head, table + 56 * each) for each in range(entries)]
    (at, size), cpu = next((each[2], each[5]) for each in headers if each[0] == 4), -1
    end = at + size
    while at < end:
        name_size, size, kind = struct.unpack_from(">3I", head, at)
        content = at + 12 + -(-name_size // 4) * 4
        cpu += kind == 1
        for name, first, offset, width, count in NOTES.get(kind, ()) if cpu >= 0 else ():
            for number in range(count):
                whole = name if first is None else f"{name}{first + number}"
                yield cpu, whole, content + offset + number * width, width
        at = content + -(-size // 4) * 4


@pytest.mark.parametrize("first", ["wait", "running", "stopped"])
def test_each_register_of_a_real_dump_that_is_damaged_is_named(ran, tmp_path, first):
    directory = Path(ran[f"registers[trigger=registers-{first}]"]["directory"])
    copy = tmp_path / "dump"
    sparse.copy(directory / "dump/dump", copy)
    seen = set()
    with Evidence.open(directory) as evidence, copy.open("r+b", buffering=0) as file:
        right = registers.check(evidence)
        assert right.findings == ()
        assert right.compared == right.nonzero == 4 * 103
        for cpu, name, at, width in places(copy):
            last = os.pread(file.fileno(), width, at)[-1]
            os.pwrite(file.fileno(), bytes([last ^ 1]), at + width - 1)
            with open_dump(copy) as dump:
                result = registers.check(replace(evidence, dump=dump))
            os.pwrite(file.fileno(), bytes([last]), at + width - 1)
            (finding,) = result.findings
            told = details(finding, RegisterOfDump)
            assert (told.cpu, told.register) == (cpu, name)
            seen.add((cpu, name))
    assert len(seen) == 4 * 103


def test_no_two_registers_of_a_cpu_had_the_same_value(ran):
    for first in ("wait", "running", "stopped"):
        for cpu in cpus(ran[f"registers[trigger=registers-{first}]"]):
            for bank in ("gprs", "acrs", "fprs", "vxrs_low", "vxrs_high"):
                assert "0" not in cpu[bank]
                assert len(set(cpu[bank])) == 16, bank


def test_the_original_system_is_up_again(ran):
    for layout in ("partition", "ext4"):
        directory = Path(ran[f"guest-dump-reipl[layout={layout}]"]["directory"])
        assert "boot 1 from its own disk" in (directory / "crash/console.log").read_text()
        console = (directory / "reipl/console.log").read_text()
        assert "boot 2 from its own disk" in console
        assert "crashed system ready" in console


def test_the_running_kernel_offers_no_type_that_nobody_knows(images):
    """Each type of LKDTM is a trigger, or has a reason why it is not."""
    found = Images(Store(default_store(), NoProgress()), NoProgress())
    kernel = found.crashed_kernel()
    spec = MachineSpec(
        memory=MEMORY,
        cpus=1,
        kernel=kernel.image,
        initrd=found.crashed_initramfs(kernel).path / IMAGE,
        append="console=ttysclp0 panic=0",
    )
    with tempfile.TemporaryDirectory() as scratch, Journal(Path(scratch, "journal")) as journal:
        phases = Phases(journal, NoProgress(), memory=MEMORY, time_factor=1.0)
        with Booter(find_qemu(), phases).booted(Bootable(spec), Path(scratch)) as system:
            offered = system.shell.run(f"cat {PROVOKE}", Deadline(60)).splitlines()
    types = {line.strip() for line in offered if line.strip().isupper()}
    assert types == CRASHES.keys() | NO_CRASH.keys()
