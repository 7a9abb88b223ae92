"""What a frozen system depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.machine.frozen.record import Bootable
from harness.qemu.binary import QemuBinary
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec


@pytest.fixture
def binary(tmp_path) -> QemuBinary:
    return QemuBinary(_file(tmp_path / "qemu", "program"), (7, 2, 22))


@pytest.fixture
def system(tmp_path) -> Bootable:
    kernel, initrd = _file(tmp_path / "kernel", "k"), _file(tmp_path / "initrd", "i")
    spec = MachineSpec(1 << 29, 2, kernel=kernel, initrd=initrd, append="panic=0")
    return Bootable(spec, _file(tmp_path / "disk", "d"), b"block")


def _file(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def _moved(path: Path | None) -> Path:
    assert path is not None
    return path.rename(path.with_name(f"{path.name}-moved"))


def test_content_counts_and_paths_do_not(binary, system):
    before = system.depends_on(binary)
    spec = replace(
        system.spec, kernel=_moved(system.spec.kernel), initrd=_moved(system.spec.initrd)
    )
    elsewhere = Bootable(spec, _moved(system.system_disk), system.ipl_block)
    moved = replace(binary, path=_moved(binary.path))
    assert elsewhere.depends_on(moved) == before


@pytest.mark.parametrize("name", ["kernel", "initrd", "disk", "qemu"])
def test_it_depends_on_the_content_of_every_file(binary, system, tmp_path, name):
    before = system.depends_on(binary)
    _file(tmp_path / name, "something else")
    assert system.depends_on(binary) != before


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 1 << 30},
        {"cpus": 1},
        {"cpu_model": "qemu"},
        {"append": "panic=1"},
        {"network": True},
        {"loadparm": "1"},
    ],
)
def test_it_depends_on_the_whole_machine(binary, system, change):
    changed = replace(system, spec=replace(system.spec, **change))
    assert changed.depends_on(binary) != system.depends_on(binary)


def test_it_depends_on_the_content_of_further_disks(binary, system, tmp_path):
    disk = _file(tmp_path / "second", "one")
    more = replace(system, spec=replace(system.spec, disks=(Disk(disk),)))
    before = more.depends_on(binary)
    _file(disk, "two")
    assert before != more.depends_on(binary) != system.depends_on(binary)


def test_it_depends_on_what_is_loaded(binary, system):
    assert replace(system, ipl_block=b"other").depends_on(binary) != system.depends_on(binary)
