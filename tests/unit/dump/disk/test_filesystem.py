from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from harness.dump.collect import collect_file
from harness.errors import HostError
from harness.evidence.collected import Collected
from harness.progress import NoProgress
from tests.support.disks.ext import PARTITION_AT, add, make_disk, make_file_system
from tests.support.disks.tables import EXTENDED, LINUX, dos_sector, empty, fdisk, write_at

CONTENT = random.Random(1).randbytes(300_000) + bytes(1 << 20) + b"the end"


def into(directory: Path) -> Path:
    target = directory / "out write_at"  # blanks in a path are no matter
    target.mkdir()
    return target


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_dump_file_comes_out_sparse(tmp_path: Path, kind: str):
    disk = make_disk(tmp_path, kind)
    add(disk, "dump.0", CONTENT, 1000)
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    dump = tmp_path / "out write_at/dump"
    assert dump.read_bytes() == CONTENT
    assert (collected.size, collected.note) == (
        len(CONTENT),
        "/dump.0 on sda1 at 0x100000, the newest of 1",
    )
    assert dump.stat().st_blocks * 512 < len(CONTENT) - (900 << 10)


def test_newest_is_the_one_written_last(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.2", b"two", 1000)
    add(disk, "dump.10", b"ten", 1000)
    add(disk, "dump.0", b"oldest, overwritten", 2000)
    add(disk, "dump.x", b"no dump", 3000)
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    assert collected.note == "/dump.0 on sda1 at 0x100000, the newest of 3"


def test_number_decides_without_a_clock(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.2", b"two", 1000)
    add(disk, "dump.10", b"ten", 1000)
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    assert collected.note == "/dump.10 on sda1 at 0x100000, the newest of 2"


def test_no_dump_file(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    assert collected.size is None
    assert "no file dump.N in / of partition 1" in collected.note


def test_question_mark_in_the_path(tmp_path: Path):
    (tmp_path / "what?offset=1").mkdir()
    disk = make_disk(tmp_path, "ext4")
    add(disk, "dump.0", CONTENT, 1000)
    moved = disk.rename(tmp_path / "what?offset=1" / "disk.img")
    assert collect_file(moved, 1, into(tmp_path), NoProgress()).size == len(CONTENT)


def test_damaged_file_system_is_told_in_debugfs_words(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    with disk.open("r+b") as image:
        image.seek(PARTITION_AT)
        image.write(b"\xee" * 65536)
    collected = collect_file(disk, 1, into(tmp_path), NoProgress(), sector_size=512)
    assert collected.size is None
    assert collected.note.startswith("disk.img: ")
    assert "Bad magic number in super-block" in collected.note


def test_lost_partition_table_is_told(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    with disk.open("r+b") as image:
        image.write(bytes(512))
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    assert collected == Collected(None, "disk.img: offset 510: no DOS partition table")


def test_a_file_that_cannot_be_read_to_its_end_is_not_kept(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.0", CONTENT, 1000)
    os.truncate(disk, PARTITION_AT + (200 << 10))  # metadata is in the first blocks
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    assert collected.size is None
    assert "disk.img: " in collected.note
    assert list((tmp_path / "out write_at").iterdir()) == []


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("kill -9 $$", "killed by signal 9"),
        ("echo 'x: Permission denied while opening' >&2", "Permission denied"),
    ],
)
def test_trouble_of_debugfs_itself_is_the_hosts_fault(tmp_path: Path, monkeypatch, script, what):
    disk = make_disk(tmp_path, "ext2")
    fake = tmp_path / "debugfs"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr("harness.dump.disk.debugfs.find_tool", lambda name: str(fake))
    with pytest.raises(HostError, match=what):
        collect_file(disk, 1, into(tmp_path), NoProgress())


def test_a_debugfs_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch):
    disk = make_disk(tmp_path, "ext2")
    fake = tmp_path / "debugfs"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setattr("harness.dump.disk.debugfs.find_tool", lambda name: str(fake))
    monkeypatch.setattr("harness.dump.disk.debugfs._SECONDS", 0.1)
    with pytest.raises(HostError, match=r"debugfs did not answer 'ls -p <2>' within 0\.1 s"):
        collect_file(disk, 1, into(tmp_path), NoProgress())


def test_a_file_is_taken_without_a_thread(tmp_path: Path, monkeypatch):
    """If memory is limited, Python may wait for ever for the start of a thread."""
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.0", b"content", 1)
    monkeypatch.setattr("threading.Thread.start", lambda thread: pytest.fail(f"{thread} starts"))
    assert collect_file(disk, 1, into(tmp_path), NoProgress()).size == len(b"content")


def test_damaged_directory_is_told(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    collected = collect_file(disk, 1, into(tmp_path), NoProgress(), directory="/none")
    assert collected.size is None
    assert "not found" in collected.note


def test_debugfs_missing_is_the_hosts_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    disk = make_disk(tmp_path, "ext2")
    monkeypatch.setattr("harness.host.tools.shutil.which", lambda *_args, **_keywords: None)
    with pytest.raises(HostError, match="debugfs is not installed"):
        collect_file(disk, 1, into(tmp_path), NoProgress())


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_dump_on_a_logical_partition(tmp_path: Path, sector: int):
    disk = empty(tmp_path / "disk.img", 32 << 20)
    script = "o\nn\ne\n2\n\n\nn\n\n+10M\nn\n\n+15M\nw\n"
    start = {number: start for number, start, _ in fdisk(disk, sector, script)}[6] * sector
    make_file_system(disk, "ext4", start, 15 << 20)
    add(disk, "dump.0", CONTENT, 1000, start)
    collected = collect_file(disk, 6, into(tmp_path), NoProgress())
    assert collected == Collected(len(CONTENT), f"/dump.0 on sda6 at {start:#x}, the newest of 1")
    assert (tmp_path / "out write_at/dump").read_bytes() == CONTENT


@pytest.mark.parametrize("number", [2, 3, 5, 7])
def test_a_partition_that_has_no_file_system_is_told(tmp_path: Path, number: int):
    disk = make_disk(tmp_path, "ext2")
    write_at(disk, 0, dos_sector((LINUX, 2048, 30720), (EXTENDED, 64, 8), (LINUX, 1 << 30, 8)))
    collected = collect_file(disk, number, into(tmp_path), NoProgress(), sector_size=512)
    assert collected.size is None
    assert f" partition {number} (its DOS partition table has sda1, sda2, sda3" in collected.note


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_descriptors_do_not_leak(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.0", b"x", 1)
    before = open_files()
    collect_file(disk, 1, into(tmp_path), NoProgress())
    assert open_files() == before
