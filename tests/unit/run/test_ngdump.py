"""A run whose tool writes ngdump.meta: which file is collected, and what is none of the run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.dump.collect import collect_file
from harness.dump.given_disk.earlier import PATTERN, overwrite_files
from harness.dump_tools.destination import Destination
from harness.evidence.collected import Collected
from harness.evidence.names import DUMP
from harness.progress import NoProgress
from tests.support.disks.ext import add, debugfs, make_disk
from tests.support.dumps import small

PROGRESS = NoProgress()


@pytest.fixture
def disk(tmp_path) -> Path:
    return make_disk(tmp_path, "ext4")


@pytest.fixture
def content(tmp_path) -> bytes:
    data = small.written(tmp_path).read_bytes()
    (tmp_path / DUMP).unlink()
    return data


def meta(name: str, content: bytes) -> bytes:
    return f"version=1\nfile={name}\nsha256sum={hashlib.sha256(content).hexdigest()}\n".encode()


def collected(disk: Path, tmp_path: Path, earlier=frozenset()) -> Collected:
    return collect_file(disk, 1, tmp_path, PROGRESS, earlier=earlier)


def known(disk: Path, directory: str = "/") -> frozenset:
    return overwrite_files(disk, Destination(1, directory), 512, None)


def test_the_file_that_ngdump_meta_names_is_collected(disk, content, tmp_path):
    add(disk, "dump.9", b"newer", mtime=9000)
    add(disk, "dump.elf", content, mtime=1000)
    add(disk, "ngdump.meta", meta("dump.elf", content), mtime=1000)
    found = collected(disk, tmp_path)
    assert found.sha256sum == hashlib.sha256(content).hexdigest()
    assert found.note.startswith("/dump.elf on sda1")
    assert (tmp_path / DUMP).read_bytes() == content


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"version=2\nfile=dump.elf\nsha256sum=0\n", "version is 2, not 1"),
        (b"version=1\nfile=dump.elf\n", "names dump.elf, but not its sha256sum"),
        (b"version=1\nfile=x\nsha256sum=0\n", "names x, which is not there"),
        (b"version=1\nfile=../etc/x\nsha256sum=0\n", "names ../etc/x, which is not there"),
        (b"version=1\nfile=../dump.elf\nsha256sum=0\n", "../dump.elf, which is not there"),
        (b"version=1\nfile=lost+found\nsha256sum=0\n", "names lost+found, which is not there"),
        (
            b"version=1\nfile=\nsha256sum=\n",
            "no file dump.N in / of partition 1; ngdump.meta names",
        ),
        (b"", "no file dump.N in / of partition 1; ngdump.meta names no dump"),
    ],
)
def test_an_ngdump_meta_that_leads_nowhere_is_no_dump(disk, tmp_path, text, what):
    add(disk, "dump.elf", b"a dump", mtime=1000)
    add(disk, "ngdump.meta", text, mtime=1000)
    found = collected(disk, tmp_path)
    assert found.size is None
    assert what in found.note
    assert not (tmp_path / DUMP).exists()


def test_an_ngdump_meta_from_before_names_nothing(disk, content, tmp_path):
    text = meta("dump.elf", content)
    add(disk, "dump.elf", content, mtime=1000)
    add(disk, "ngdump.meta", text, mtime=1000)
    earlier = known(disk)
    assert {file.path for file in earlier} == {"/dump.elf", "/ngdump.meta"}
    found = collected(disk, tmp_path, earlier)
    assert (found.size, found.sha256sum) == (None, None)
    assert found.note.endswith("ngdump.meta is from before the run")
    debugfs(disk, "rm dump.elf")  # the tool writes the same dump, but no ngdump.meta
    add(disk, "dump.elf", content, mtime=2000)
    assert collected(disk, tmp_path, earlier).note == found.note


def test_a_new_ngdump_meta_cannot_name_a_file_from_before(disk, content, tmp_path):
    add(disk, "dump.elf", content, mtime=1000)
    add(disk, "ngdump.meta", meta("dump.elf", content), mtime=1000)
    earlier = known(disk)
    debugfs(disk, "rm ngdump.meta")
    add(disk, "ngdump.meta", meta("dump.elf", content), mtime=2000)
    found = collected(disk, tmp_path, earlier)
    assert found.size is None
    assert found.note.endswith("names dump.elf, which is from before the run")
    debugfs(disk, "set_inode_field dump.elf mtime @2000")  # as if it were new
    collected(disk, tmp_path, earlier)
    assert (tmp_path / DUMP).read_bytes().startswith(PATTERN)


def test_the_dump_system_finds_the_ngdump_meta_that_zipl_wrote(disk, content, tmp_path):
    add(disk, "ngdump.meta", b"version=1\nfile=\nsha256sum=\n", mtime=1000)
    before = disk.read_bytes()
    earlier = known(disk)
    assert disk.read_bytes() == before
    add(disk, "dump.0", content, mtime=2000)
    assert collected(disk, tmp_path, earlier).note.startswith("/dump.0 on sda1")


@pytest.mark.parametrize("text", [b"version=7\n", meta("../x", b""), meta("none", b"")])
def test_an_odd_ngdump_meta_does_not_hide_dumps_from_before(disk, content, tmp_path, text):
    add(disk, "dump.0", content, mtime=1000)
    add(disk, "ngdump.meta", text, mtime=1000)
    earlier = known(disk)
    assert {file.path for file in earlier} == {"/dump.0", "/ngdump.meta"}
    assert "1 are from before the run" in collected(disk, tmp_path, earlier).note


def test_a_directory_that_is_not_there_does_not_hide_what_ngdump_left(disk, content, tmp_path):
    add(disk, "dump.elf", content, mtime=1000)
    add(disk, "ngdump.meta", meta("dump.elf", content), mtime=1000)
    assert len(known(disk, "/none")) == 2


def test_a_damaged_dump_does_not_hide_the_others(disk, content, tmp_path):
    add(disk, "dump.0", content, mtime=1000)
    add(disk, "dump.1", content, mtime=1001)
    debugfs(disk, "set_inode_field dump.1 block[IND] 999999999", "sif dump.1 flags 0")
    assert len(known(disk)) == 2
