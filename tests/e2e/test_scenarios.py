"""Every scenario of CI, in one go; and what only the evidence of some of them shows."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from harness.build.images import Images
from harness.build.initramfs import IMAGE
from harness.build.store import Store
from harness.deadline import Deadline
from harness.machine.boot import Booter
from harness.paths import data_dir, default_store
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.spec import MachineSpec
from harness.run.journal import Journal
from harness.run.phases import Phases
from harness.scenario.lkdtm import CRASHES, NO_CRASH
from harness.scenario.load import load_all
from harness.scenario.lockup import PROVOKE

pytestmark = pytest.mark.e2e

FILES = sorted((data_dir() / "scenarios").glob("*.toml"))
NAMES = [each.name for file in FILES for each in load_all(str(file))]
BATCH_SECONDS = 3000
MEMORY = 256 << 20
INTERRUPTIONS = 0x0300_0000_0000_0000  # PSW mask: I/O and external


@pytest.fixture(scope="module")
def ran(zharness, images, tmp_path_factory):
    """Name -> what became of that scenario, all run side by side."""
    output = tmp_path_factory.mktemp("scenarios") / "evidence"
    done = zharness("run", *FILES, "--json", "--output", output, timeout=BATCH_SECONDS)
    assert done.out, done.err
    return {run["name"]: run for run in done.json["runs"]}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_as_expected(ran, name):
    assert ran[name]["verdict"] == "PASS", ran[name]


def test_nothing_else_was_run(ran):
    assert list(ran) == NAMES


def cpus(run):
    return json.loads(Path(run["directory"], "crash/cpus.json").read_bytes())["cpus"]


def test_a_cpu_that_loops_with_interrupts_off_is_dumped_as_such(ran):
    *others, last = cpus(ran["operator-busy[workload=irqs-off,smp=8]"])
    assert len(others) == 7
    assert int(last["psw_mask"], 16) & INTERRUPTIONS == 0
    # the others compute: any of them may be in the kernel for a moment, but not all
    assert any(int(cpu["psw_mask"], 16) & INTERRUPTIONS for cpu in others)


def test_the_original_system_is_up_again(ran):
    for layout in ("partition", "ext4"):
        directory = Path(ran[f"guest-dump-reipl[layout={layout}]"]["directory"])
        assert "boot 1 from its own disk" in (directory / "crash/console.log").read_text()
        console = (directory / "reipl/console.log").read_text()
        assert "boot 2 from its own disk" in console
        assert "crashed system ready" in console


def test_the_running_kernel_offers_no_type_that_nobody_knows(images):
    """Each of LKDTM's types is a trigger, or has its reason why it is none."""
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
        with Booter(find_qemu(), phases).booted(spec, Path(scratch)) as system:
            offered = system.run(f"cat {PROVOKE}", Deadline(60)).splitlines()
    types = {line.strip() for line in offered if line.strip().isupper()}
    assert types == CRASHES.keys() | NO_CRASH.keys()
