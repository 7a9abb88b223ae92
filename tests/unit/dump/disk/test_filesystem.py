from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.byte_source import File
from harness.dump.collect import collect_file
from harness.dump.disk.partition_table import SECTOR
from harness.dump.disk.partition_table import partition_extent as extent_of
from harness.errors import EvidenceError, HostError
from harness.evidence.collected import Collected
from harness.progress import NoProgress
from tests.support.disks.ext import PARTITION_AT, add, make_disk, partition_table

CONTENT = random.Random(1).randbytes(300_000) + bytes(1 << 20) + b"the end"


def partition_extent(disk: Path, number: int) -> tuple[int, int]:
    with File.open(disk) as content:
        return extent_of(content, number)


def into(directory: Path) -> Path:
    target = directory / "out put"  # blanks in a path are no matter
    target.mkdir()
    return target


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_dump_file_comes_out_sparse(tmp_path: Path, kind: str):
    disk = make_disk(tmp_path, kind)
    add(disk, "dump.0", CONTENT, 1000)
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    dump = tmp_path / "out put/dump"
    assert dump.read_bytes() == CONTENT
    assert (collected.size, collected.note) == (len(CONTENT), "/dump.0, the newest of 1")
    assert dump.stat().st_blocks * 512 < len(CONTENT) - (900 << 10)


def test_newest_is_the_one_written_last(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.2", b"two", 1000)
    add(disk, "dump.10", b"ten", 1000)
    add(disk, "dump.0", b"oldest, overwritten", 2000)
    add(disk, "dump.x", b"no dump", 3000)
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    assert collected.note == "/dump.0, the newest of 3"


def test_number_decides_without_a_clock(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.2", b"two", 1000)
    add(disk, "dump.10", b"ten", 1000)
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
    assert collected.note == "/dump.10, the newest of 2"


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
    collected = collect_file(disk, 1, into(tmp_path), NoProgress())
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
    assert list((tmp_path / "out put").iterdir()) == []


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


def test_partitions_are_found(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.write_bytes(partition_table((2048, 100), (4096, 0x80000000)))
    assert partition_extent(disk, 1) == (2048 * SECTOR, 100 * SECTOR)
    assert partition_extent(disk, 2) == (4096 * SECTOR, 0x80000000 * SECTOR)
    with pytest.raises(EvidenceError, match="partition 3 is empty"):
        partition_extent(disk, 3)
    with pytest.raises(EvidenceError, match="no primary partition 5"):
        partition_extent(disk, 5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=512), st.integers(-1, 6), st.booleans())
def test_arbitrary_tables_raise_evidence_error_only(
    tmp_path: Path, noise: bytes, number: int, signed: bool
):
    disk = tmp_path / "noise"
    disk.write_bytes(noise.rjust(510, b"\0")[:510] + b"\x55\xaa" if signed else noise)
    try:
        offset, size = partition_extent(disk, number)
    except EvidenceError:
        return
    assert 1 <= number <= 4
    assert offset >= 0
    assert size > 0


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_descriptors_do_not_leak(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.0", b"x", 1)
    before = open_files()
    collect_file(disk, 1, into(tmp_path), NoProgress())
    assert open_files() == before
