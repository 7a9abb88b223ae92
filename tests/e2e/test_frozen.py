"""A frozen system is the booted one: bit for bit before it goes on, and alive after that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.deadline import Deadline
from harness.evidence.journal import Journal
from harness.evidence.names import RAM
from harness.files import sparse
from harness.host.paths import default_store
from harness.images.disk import DISK
from harness.images.initramfs.build import IMAGE
from harness.images.provide import Images
from harness.images.store import Store
from harness.machine.frozen import freeze, thaw
from harness.machine.frozen.freeze import frozen_system
from harness.machine.frozen.record import Frozen
from harness.machine.frozen.thaw import thawed
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.machine.system.crash import cpu_states
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.run.phases import Phases
from harness.run.plan import CRASH_PARMLINE, DISK_PARMLINE

pytestmark = pytest.mark.e2e

CPUS, MEMORY = 2, 512 << 20
SECONDS = 300


@pytest.fixture
def booter(tmp_path: Path) -> Iterator[Booter]:
    with Journal(tmp_path / "journal") as journal:
        yield Booter(find_qemu(), Phases(journal, NoProgress(), memory=MEMORY, time_factor=4.0))


@pytest.fixture(params=["direct", "scsi"])
def bootable(images: Any, request: pytest.FixtureRequest) -> Bootable:
    found = Images(Store(default_store(), NoProgress()), NoProgress())
    kernel = found.crashed_kernel()
    initramfs = found.crashed_initramfs(kernel)
    if request.param == "direct":
        initrd = initramfs.path / IMAGE
        spec = MachineSpec(MEMORY, CPUS, kernel=kernel.image, initrd=initrd, append=CRASH_PARMLINE)
        return Bootable(spec)
    disk = found.system_disk(kernel, initramfs, f"{CRASH_PARMLINE} {DISK_PARMLINE}")
    return Bootable(MachineSpec(MEMORY, CPUS), disk.path / DISK)


def test_a_frozen_system_is_thawed_exactly_and_lives(booter, bootable, tmp_path, monkeypatch):
    store = Store(tmp_path / "store", NoProgress())
    at_freeze, at_thaw = [], []

    def saved(system, cpus, directory, deadline):
        original_freeze(system, cpus, directory, deadline)
        at_freeze.extend(cpu_states(system.qemu, directory, deadline))

    def compared(qemu, registers, deadline):
        original_check(qemu, registers, deadline)
        at_thaw.extend(cpu_states(qemu, tmp_path, deadline))
        memories[-1].save(tmp_path / RAM)

    memories: list[GuestRam] = []
    original_freeze, original_check = freeze.freeze, thaw.require_equal
    monkeypatch.setattr(freeze, "freeze", saved)
    monkeypatch.setattr(thaw, "require_equal", compared)
    original_fill = GuestRam.fill
    monkeypatch.setattr(
        GuestRam, "fill", lambda ram, path: (memories.append(ram), original_fill(ram, path))
    )

    frozen = frozen_system(store, booter, bootable)
    with thawed(booter, frozen, tmp_path / "thawed") as system:
        for cpu in range(CPUS):
            system.shell.run(f"taskset {1 << cpu:x} usleep 100000", Deadline(SECONDS))

    assert len(at_thaw) == CPUS
    assert at_thaw == at_freeze
    assert sparse.digest(tmp_path / RAM) == sparse.digest(frozen.ram_image)
    log = (tmp_path / "thawed" / "console.log").read_text()
    assert log.startswith(frozen.console.decode())
    assert "stall" not in log
    assert frozen_system(store, booter, bootable) == Frozen(frozen.directory, bootable)
