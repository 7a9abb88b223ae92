"""What a frozen system depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.machine.frozen.record import depends_on
from harness.machine.system.bootable import Bootable
from harness.qemu.binary import QemuBinary
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec
from harness.ssh.handshake import Login


@pytest.fixture
def binary(tmp_path) -> QemuBinary:
    return QemuBinary(_file(tmp_path / "qemu", "program"), (7, 2, 22))


@pytest.fixture
def system(tmp_path) -> Bootable:
    kernel, initrd = _file(tmp_path / "kernel", "k"), _file(tmp_path / "initrd", "i")
    spec = MachineSpec(1 << 29, 2, kernel=kernel, initrd=initrd, append="panic=0")
    return Bootable(spec, _file(tmp_path / "disk", "d"), b"block", direct=True)


def _file(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def _moved(path: Path | None) -> Path:
    assert path is not None
    return path.rename(path.with_name(f"{path.name}-moved"))


def test_content_counts_and_paths_do_not(binary, system):
    before = depends_on(system, binary)
    spec = replace(
        system.spec, kernel=_moved(system.spec.kernel), initrd=_moved(system.spec.initrd)
    )
    elsewhere = replace(system, spec=spec, system_disk=_moved(system.system_disk))
    moved = replace(binary, path=_moved(binary.path))
    assert depends_on(elsewhere, moved) == before


@pytest.mark.parametrize("name", ["kernel", "initrd", "disk", "qemu"])
def test_it_depends_on_the_content_of_every_file(binary, system, tmp_path, name):
    before = depends_on(system, binary)
    _file(tmp_path / name, "something else")
    assert depends_on(system, binary) != before


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 1 << 30},
        {"cpus": 1},
        {"cpu_model": "qemu"},
        {"append": "panic=1"},
    ],
)
def test_it_depends_on_the_whole_machine(binary, system, change):
    changed = replace(system, spec=replace(system.spec, **change))
    assert depends_on(changed, binary) != depends_on(system, binary)


def test_it_depends_on_the_content_of_further_disks(binary, system, tmp_path):
    disk = _file(tmp_path / "second", "one")
    more = replace(system, spec=replace(system.spec, disks=(Disk(disk),)))
    before = depends_on(more, binary)
    _file(disk, "two")
    assert before != depends_on(more, binary) != depends_on(system, binary)


def test_it_depends_on_what_is_loaded(binary, system):
    assert depends_on(replace(system, ipl_block=b"other"), binary) != depends_on(system, binary)


def test_a_kernel_that_is_not_loaded_does_not_count(binary, system, tmp_path):
    itself = replace(system, direct=False)
    before = depends_on(itself, binary)
    _file(tmp_path / "kernel", "something else")
    assert depends_on(itself, binary) == before != depends_on(system, binary)


def test_how_a_disk_is_loaded_counts(binary, system):
    itself = replace(system, direct=False)
    other = replace(itself, spec=replace(itself.spec, loadparm="1"))
    assert depends_on(other, binary) != depends_on(itself, binary)


def test_a_full_system_has_a_network_too(binary, system):
    full = replace(system, login=Login("root", Path("key"), "ssh-ed25519 AAAA"))
    assert any("hostfwd" in option for option in depends_on(full, binary)["options"])
