"""The drivers of a distribution's kernel, in the order in which they can be loaded."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BuildError
from harness.images.system.modules import DRIVERS, driver_entries, needed


def module(path: Path, *depends: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = b"\x7fELF\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=x\0"
    path.write_bytes(lzma.compress(content) if path.suffix == ".xz" else content)
    return path


def test_each_stands_behind_what_it_needs(tmp_path: Path) -> None:
    module(tmp_path / "scsi/virtio_scsi.ko", "scsi_mod")
    module(tmp_path / "scsi/scsi_mod.ko.xz", "scsi-common")
    module(tmp_path / "scsi/scsi-common.ko")
    module(tmp_path / "scsi/sd_mod.ko", "scsi_mod", "t10-pi")
    module(tmp_path / "lib/t10-pi.ko")
    module(tmp_path / "fs/ext4.ko", "jbd2")
    module(tmp_path / "fs/jbd2.ko")
    entries = {entry.name: entry.data for entry in driver_entries(tmp_path)}
    order = entries["modules/order"].decode().split()
    assert order == ["scsi_common", "scsi_mod", "virtio_scsi", "t10_pi", "sd_mod", "jbd2", "ext4"]
    assert all(entries[f"modules/{name}.ko"].startswith(b"\x7fELF") for name in order)


def test_a_driver_that_is_missing(tmp_path: Path) -> None:
    module(tmp_path / "virtio_scsi.ko", "scsi_mod")
    with pytest.raises(BuildError, match="no module scsi_mod"):
        list(driver_entries(tmp_path))


def test_a_module_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "virtio_scsi.ko.xz").write_bytes(b"nothing")
    with pytest.raises(BuildError, match=r"virtio_scsi\.ko\.xz cannot be decompressed"):
        list(driver_entries(tmp_path))


letters = st.sampled_from("abcdef")


@given(st.dictionaries(letters, st.lists(letters, max_size=4), min_size=6, max_size=6))
def test_all_that_is_needed_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, graph: dict[str, list[str]]
) -> None:
    place = tmp_path_factory.mktemp("modules")
    files = {name: module(place / f"{name}.ko", *graph[name]) for name in graph}
    order = list(needed(files, ["a", "b"]))
    reachable, todo = set(), ["a", "b"]
    while todo:
        if (name := todo.pop()) not in reachable:
            reachable.add(name)
            todo += graph[name]
    assert sorted(order) == sorted(reachable)


def test_the_disks_driver_comes_before_the_file_system() -> None:
    assert DRIVERS.index("virtio_scsi") < DRIVERS.index("ext4")
