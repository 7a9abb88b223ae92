"""The guest that makes and reads XFS and btrfs, with a fake QEMU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.dump.byte_source import File
from harness.dump.disk.ext_files import ext_kind
from harness.dump.disk.partition_table import partition_numbered
from harness.errors import BuildError, HostError
from harness.images import file_systems
from harness.images.file_systems import copy_dumps, make_in_guest
from harness.images.initramfs.build import IMAGE
from harness.images.kernel.build import Kernel
from harness.images.partitions import MIB, PartitionTable, Placement
from harness.images.store import Built
from harness.qemu.process import console_path
from harness.qemu.spec import MachineSpec
from harness.s390x.disk_layout import DiskLayout

SIZE = 64 * MIB
PLACE = Placement(3, PartitionTable.GPT)
KERNEL = Kernel(Path("/kernel"), "6.12", sha256="0" * 64, origin="own")


class Guest:
    """Answers in place of a machine; remembers what it was asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.complaint: str | None = None
        self.built = Built("initramfs-files", "0" * 20, home, {})
        self.disk = home / "disk.img"
        with self.disk.open("xb") as file:
            file.truncate(SIZE)
        self.spec: MachineSpec | None = None

    def run_job(self, spec: MachineSpec, directory: Path, job: str, seconds: float) -> Any:
        self.spec = spec
        console_path(directory).write_text("what mkfs said\n")
        return self.complaint

    def make(self) -> None:
        make_in_guest(self.built, KERNEL, self.disk, DiskLayout.XFS, 2, self.home / "log")

    def copy(self) -> str | None:
        into = self.home / "copy.img"
        return copy_dumps(self.built, KERNEL, self.disk, DiskLayout.BTRFS, PLACE, "/x", into)


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guest:
    guest = Guest(tmp_path)
    monkeypatch.setattr(file_systems, "run_job", guest.run_job)
    return guest


def test_a_file_system_is_made_in_place(guest: Guest):
    guest.make()
    assert guest.spec is not None
    assert [disk.path for disk in guest.spec.disks] == [guest.disk]
    assert guest.spec.initrd == guest.home / IMAGE
    words = (guest.spec.append or "").split()
    assert {"files.job=make", "files.type=xfs", "files.number=2"} < set(words)
    assert (guest.home / "log").read_text() == "what mkfs said\n"


def test_a_file_system_that_is_not_made_is_a_fault_of_ours(guest: Guest):
    guest.complaint = "mkfs.xfs: too small"
    with pytest.raises(BuildError, match=r"a xfs file system was not made: mkfs\.xfs: too small"):
        guest.make()


def test_dumps_are_copied_to_ext4_at_the_same_place(guest: Guest):
    assert guest.copy() is None
    assert guest.spec is not None
    assert [disk.lun for disk in guest.spec.disks] == [0, 1]
    copy = guest.spec.disks[1].path
    assert copy.stat().st_size == 2 * SIZE, "what a guest may write has an end"
    with File.open(copy) as content:
        found = partition_numbered(content, 3)
        assert found.start == PLACE.start
        assert ext_kind(content, found.start) is DiskLayout.EXT4
    words = (guest.spec.append or "").split()
    wanted = {"files.job=copy", "files.type=btrfs", "files.number=3", "files.directory=/x"}
    assert wanted < set(words)


def test_a_file_system_that_cannot_be_read_is_told_in_the_guests_words(guest: Guest):
    guest.complaint = "mount: mounting /dev/sda3 on /from failed"
    assert guest.copy() == guest.complaint


def test_a_guest_that_does_not_end_in_time_says_nothing_of_the_dump(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
):
    guest.complaint = "not done after 0 s"
    monkeypatch.setattr(file_systems, "SECONDS", 0.0)
    monkeypatch.setattr(file_systems, "BYTES_PER_SECOND", 1 << 60)
    with pytest.raises(HostError, match="were not copied: not done"):
        guest.copy()
