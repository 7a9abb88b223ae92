"""A dump on a file system that only Linux reads is collected from a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.evidence.collected import Collected
from harness.evidence.names import DUMP
from harness.images.command import Tools
from harness.images.ext import make_file_system
from harness.images.partitions import MIB, PartitionTable, Placement
from harness.images.provide import Images
from harness.images.store import Store
from harness.progress import NoProgress
from harness.run.machines import collect
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.model import Dump
from tests.support.disks.ext import add

HOW = {"layout": "xfs", "config": ["CONFIG_XFS_FS=y"], "partition": 2, "table": "gpt"}


class Copying(Images):
    """Images whose guest finds one dump, or has a complaint."""

    complaint: str | None = None
    asked: tuple[DiskLayout, Placement, str] | None = None

    def copy_dumps(
        self, disk: Path, layout: DiskLayout, place: Placement, directory: str, into: Path
    ) -> str | None:
        self.asked = layout, place, directory
        assert disk.read_bytes() == b"xfs"
        with into.open("xb") as file:
            file.truncate(16 * MIB)
        tools = Tools(into.with_suffix(".log"), "a disk")
        place.write(into, 512, tools)
        start, size = place.start, place.size(16 * MIB)
        make_file_system(into, DiskLayout.EXT4, start, size, 512, tools)
        if self.complaint is None:
            add(into, "dump.0", b"content", 1 << 30, start)
        return self.complaint


@pytest.fixture
def images(tmp_path: Path) -> Copying:
    return Copying(Store(tmp_path / "store", NoProgress()), NoProgress())


def collected(tmp_path: Path, images: Images, parmline: str = "") -> Collected:
    disk, into = tmp_path / "disk.img", tmp_path / "dump"
    disk.write_bytes(b"xfs")
    into.mkdir()
    how = Dump.model_validate({**HOW, "parmline": parmline})
    found = collect(disk, how, into, NoProgress(), None, images)
    assert {path.name for path in tmp_path.iterdir()} <= {"disk.img", "dump", "store"}
    return found


def test_the_dump_is_that_of_the_copy(tmp_path: Path, images: Copying):
    found = collected(tmp_path, images)
    assert found.size == len(b"content")
    assert (tmp_path / "dump" / DUMP).read_bytes() == b"content"
    assert found.note.startswith("/dump.0 on sda2 at 0x200000")
    assert images.asked == (DiskLayout.XFS, Placement(2, PartitionTable.GPT), "/")


def test_the_tool_decides_from_where_it_is_copied(tmp_path: Path, images: Copying):
    collected(tmp_path, images, "dump_dir=/x dump_part=1")
    assert images.asked == (DiskLayout.XFS, Placement(1, PartitionTable.GPT), "/x")


def test_a_file_system_that_cannot_be_read_has_no_dump(tmp_path: Path, images: Copying):
    images.complaint = "mount: mounting /dev/sda2 on /from failed: Structure needs cleaning"
    found = collected(tmp_path, images)
    assert found.size is None
    assert found.note == f"xfs on partition 2 cannot be read: {images.complaint}"
    assert not (tmp_path / "dump" / DUMP).exists()
