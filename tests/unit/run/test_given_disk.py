"""A disk that the user gives: what is read from it, and what of it is no dump of the run."""

from __future__ import annotations

import os
import subprocess

import pytest

from harness.dump.collect import collect_file
from harness.dump.detect import open_dump
from harness.dump.given_disk import image
from harness.dump.given_disk.earlier import PATTERN
from harness.errors import UsageError
from harness.evidence.names import DUMP
from harness.images.provide import Images
from harness.images.store import Store
from harness.progress import NoProgress
from harness.run.given_disk import copy_given
from harness.run.inputs.dump_tool import ChosenTool
from harness.run.machines import collect
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.zipl import cksm
from harness.scenario.model import Dump
from tests.support.disks.boot_map import add_boot_map
from tests.support.disks.dump_partition import SB_AT, disk_with, mbr
from tests.support.disks.ext import PARTITION_AT, add, make_disk
from tests.support.dumps import small
from tests.support.evidence import DUMP_SIZE_LIMIT, PAGE, PART_START

PROGRESS = NoProgress()
MIB = 1 << 20


def no_images(tmp_path):
    return Images(Store(tmp_path / "store", PROGRESS), PROGRESS)


def given(path, target, **fields):
    how = Dump.model_validate({"disk": path, **fields})
    return copy_given(path, how, target), how


@pytest.fixture
def partition(tmp_path):
    """A dump partition with a dump on it."""
    disk = disk_with(tmp_path, small.written(tmp_path).read_bytes())
    (tmp_path / DUMP).unlink()
    add_boot_map(disk, "root=/dev/ram0 dump_mem=1", dump=True)
    with disk.open("r+b") as file:
        file.seek(0x70)
        file.write(mbr()[0x70:0x80])
    return disk


def files_disk(tmp_path, parmline, kind="ext4"):
    disk = make_disk(tmp_path, kind)
    with disk.open("rb") as file:
        table = file.read(512)[0x1BE:]
    add_boot_map(disk, parmline)
    with disk.open("r+b") as file:
        file.seek(0x1BE)
        file.write(table)
    return disk


def test_a_dump_partition_is_one_by_its_boot_info(partition, tmp_path):
    found, _ = given(partition, tmp_path / "copy")
    assert (found.layout, found.sector_size) == (DiskLayout.PARTITION, 512)
    assert found.given["parmline"] == "root=/dev/ram0 dump_mem=1"
    assert found.given["sha256"] == subprocess.check_output(["sha256sum", partition]).decode()[:64]
    assert found.fault is None


def test_an_old_dump_on_a_partition_is_none_of_the_run(partition, tmp_path):
    before, copy = partition.read_bytes(), tmp_path / "copy"
    found, how = given(partition, copy)
    assert found.given["overwritten"] > 0
    collected = collect(copy, how, tmp_path, PROGRESS, found, no_images(tmp_path))
    assert collected.size is None
    assert collected.note == "the room for the dump begins with what was there before the run"
    assert collected.superblock_offset == SB_AT
    assert not (tmp_path / DUMP).exists(), "the evidence needs no copy of it"
    assert partition.read_bytes() == before, "the original is never written"


def test_parts_of_an_old_dump_do_not_look_like_memory(partition, tmp_path):
    content, copy = bytearray(small.written(tmp_path).read_bytes()), tmp_path / "copy"
    (tmp_path / DUMP).unlink()
    found, how = given(partition, copy)
    with copy.open("r+b") as file:  # the tool writes the first page only
        file.seek(PART_START)
        file.write(content[:PAGE])
    collected = collect(copy, how, tmp_path, PROGRESS, found, no_images(tmp_path))
    assert collected.size == len(content)
    assert PATTERN in (tmp_path / DUMP).read_bytes()[PAGE:]


FAR = 3 << 20  # bytes behind the beginning of the room


@pytest.fixture
def full(partition):
    """A dump partition with old data far behind the dump, too."""
    with partition.open("r+b") as file:
        file.seek(PART_START + FAR)
        file.write(bytes(range(256)) * 1024)
    return partition


@pytest.mark.parametrize(("at", "written"), [(0, PAGE), (FAR + PAGE, FAR + 2 * PAGE)])
def test_old_data_behind_a_torn_dump_is_not_collected(full, tmp_path, at, written):
    copy = tmp_path / "copy"
    found, how = given(full, copy)
    with copy.open("r+b") as file:
        file.seek(PART_START)
        file.write(b"torn".ljust(PAGE, b"\1") + bytes(MIB - PAGE))
        file.seek(PART_START + at)
        file.write(b"torn".ljust(PAGE, b"\1"))
    collected = collect(copy, how, tmp_path, PROGRESS, found, no_images(tmp_path))
    assert collected.size == written
    assert collected.note.startswith("all before what was there already, for there is no complete")
    whole = copy.read_bytes()[PART_START:][:written]
    assert (tmp_path / DUMP).read_bytes() == whole


def test_a_torn_dump_where_nothing_was_is_all_of_the_room(partition, tmp_path):
    with partition.open("r+b") as file:  # as nobody has dumped to it
        file.seek(PART_START)
        file.write(bytes(MIB))
    copy = tmp_path / "copy"
    found, how = given(partition, copy)
    with copy.open("r+b") as file:
        file.seek(PART_START)
        file.write(b"torn")
    collected = collect(copy, how, tmp_path, PROGRESS, found, no_images(tmp_path))
    assert collected.size == DUMP_SIZE_LIMIT
    assert collected.note.startswith("all that the superblock allows, for there is no complete")


def test_a_room_that_begins_with_zeros_and_has_old_data_only_is_no_dump(full, tmp_path):
    with full.open("r+b") as file:
        file.seek(PART_START)
        file.write(bytes(MIB))
    found, how = given(full, tmp_path / "copy")
    collected = collect(tmp_path / "copy", how, tmp_path, PROGRESS, found, no_images(tmp_path))
    assert collected.size is None
    assert collected.note == "the room for the dump has nothing but what was there before the run"
    assert collected.superblock_offset == SB_AT
    assert not (tmp_path / DUMP).exists()


def test_a_checksum_that_fitted_still_fits(partition, tmp_path):
    copy = tmp_path / "copy"
    given(partition, copy)
    data = copy.read_bytes()
    assert data[PART_START:].startswith(PATTERN)
    area = data[PART_START : PART_START + PAGE]
    assert data[SB_AT + 64 : SB_AT + 72] == cksm(area).to_bytes(8, "big")


def test_a_checksum_that_was_wrong_stays_as_it_is(partition, tmp_path):
    with partition.open("r+b") as file:
        file.seek(SB_AT + 64)
        file.write(b"\0" * 7 + b"\x07")
    given(partition, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes()[SB_AT + 64 :][:8] == b"\0" * 7 + b"\x07"


def test_a_room_that_covers_the_dump_system_is_not_loaded(partition, tmp_path):
    with partition.open("r+b") as file:
        file.seek(SB_AT + 16)
        file.write(bytes(8))  # the partition starts at 0
    found, _ = given(partition, tmp_path / "copy")
    assert found.unusable.startswith(f"{partition}: the superblock's room for the dump, 0x0 to")
    assert (tmp_path / "copy").read_bytes()[PART_START:][:4] == b"\x7fELF"


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_any_other_disk_has_a_file_system(tmp_path, kind):
    disk = files_disk(tmp_path, "dump_dir=/x", kind)
    found, _ = given(disk, tmp_path / "copy")
    assert found.layout == kind
    assert (found.destination.partition, found.destination.directory) == (1, "/x")


def test_the_dump_is_expected_where_the_parmline_says(tmp_path):
    disk = files_disk(tmp_path, "dump_part=7 dump_dir=/a/b")
    told, _ = given(disk, tmp_path / "copy")
    assert tuple(told.destination) == (7, "/a/b")
    asked, _ = given(disk, tmp_path / "other", partition=1)
    assert tuple(asked.destination) == (1, "/a/b")


def test_a_file_from_before_the_run_is_no_dump_of_it(tmp_path):
    disk, copy = files_disk(tmp_path, ""), tmp_path / "copy"
    content = small.written(tmp_path).read_bytes()
    (tmp_path / DUMP).unlink()
    add(disk, "dump.0", content, mtime=1 << 31)
    found, how = given(disk, copy)
    assert found.given["dumps before"] == 1
    collected = collect(copy, how, tmp_path, PROGRESS, found, no_images(tmp_path))
    assert collected.size is None
    assert collected.note == "no new file dump.N in / of partition 1: 1 are from before the run"
    add(copy, "dump.1", content, mtime=1)
    collected = collect(copy, how, tmp_path, PROGRESS, found, no_images(tmp_path))
    assert collected.note.startswith("/dump.1 on sda1")
    with open_dump(disk, "/dump.0") as original:
        assert original.content.upto(0, len(content)) == content


def test_a_file_from_before_is_no_dump_even_if_its_time_changes(tmp_path):
    disk, copy = files_disk(tmp_path, ""), tmp_path / "copy"
    content = small.written(tmp_path).read_bytes()
    (tmp_path / DUMP).unlink()
    add(disk, "dump.0", content, mtime=5)
    given(disk, copy)
    collect_file(copy, 1, tmp_path, PROGRESS)  # as if all were new
    assert (tmp_path / DUMP).read_bytes().startswith(PATTERN)


def test_a_damaged_boot_map_is_kept_for_the_finding(partition, tmp_path):
    with partition.open("r+b") as file:
        file.seek(20 * 512)
        file.write(b"x")
    found, _ = given(partition, tmp_path / "copy")
    assert found.fault == (f"{partition}: boot map: no program table in block 20: 78 49 50 4c")


def test_a_disk_that_zipl_did_not_prepare_is_a_mistake(tmp_path):
    disk = make_disk(tmp_path, "ext4")
    with pytest.raises(UsageError, match=f"dump disk {disk}: no zIPL boot record in block 0"):
        given(disk, tmp_path / "copy")


@pytest.mark.parametrize(
    ("kind", "at", "magic"), [("xfs", 0, b"XFSB"), ("btrfs", 0x10040, b"_BHRfS_M")]
)
def test_a_file_system_on_which_old_dumps_cannot_be_marked_is_a_mistake(tmp_path, kind, at, magic):
    disk = files_disk(tmp_path, "")
    with disk.open("r+b") as file:
        file.seek(PARTITION_AT + at)
        file.write(magic)
    found, _ = given(disk, tmp_path / "copy")
    assert found.layout is DiskLayout.EXT4, "mke2fs leaves what was there before"
    with disk.open("r+b") as file:
        file.seek(PARTITION_AT + 0x438)
        file.write(bytes(2))
    with pytest.raises(UsageError, match=f"disk.img: its dump goes to {kind}"):
        given(disk, tmp_path / "another copy")


def test_what_is_no_file_is_a_mistake(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, said in (
        (tmp_path / "fifo", "is not a regular file"),
        (tmp_path, "is not a regular file"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(UsageError, match=said):
            given(path, tmp_path / "copy")


def test_a_sparse_image_that_is_too_large_is_a_mistake(tmp_path, monkeypatch):
    # no host's file system need hold a file of the real limit
    monkeypatch.setattr(image, "MOST", 1 << 30)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate((1 << 30) + 512)
    with pytest.raises(UsageError, match="are too many"):
        given(huge, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_nothing_is_known_of_the_tool_on_a_disk():
    assert ChosenTool.of(Dump.model_validate({"disk": "x"})).tool.name == "unknown"
    named = ChosenTool.of(Dump.model_validate({"disk": "x", "tool": "zfcpdump"}))
    assert named.tool.name == "zfcpdump"


def test_the_partition_of_the_test_is_a_megabyte_behind_the_start():
    assert PARTITION_AT == PART_START
