"""The dump tool, images/dump/zfcpdump, on this host: dumps to files of a file system."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.guests.dump_tool import PAGE, new_buffer, tool

HSA = 8 * PAGE


def test_a_file_has_holes_for_pages_of_zeros(tmp_path, source, released):
    target = tmp_path / "dump.0"
    form = tool.Elf(tool.Core(str(source)))
    tool.filesystem.write_file(str(target), form, new_buffer(2 * PAGE), HSA, tool.Parameters(""))
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 < target.stat().st_size


def test_numbers_of_dump_files(tmp_path):
    for name in ("dump.0", "dump.2", "dump.10", "dump.x", "other"):
        (tmp_path / name).touch()
    assert tool.filesystem.dump_numbers(str(tmp_path)) == [0, 2, 10]
    assert tool.filesystem.next_number(str(tmp_path)) == 1


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """Two old dumps, and the one being written."""
    monkeypatch.setattr(tool.filesystem, "MOUNT_POINT", str(tmp_path))
    monkeypatch.setattr(tool.machine, "say", lambda text: None)
    for age, name in ((3, "dump.7"), (2, "dump.1"), (1, "dump.2")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    return tmp_path


def make_room(directory, words=""):
    parameters = tool.Parameters(words)
    tool.filesystem.make_room(str(directory), f"{directory}/dump.2", parameters)


def test_a_full_disk_costs_the_oldest_dump(full_disk):
    make_room(full_disk)
    assert {path.name for path in full_disk.iterdir()} == {"dump.1", "dump.2"}
    make_room(full_disk)
    with pytest.raises(tool.filesystem.DiskFull, match="no older dump"):
        make_room(full_disk)
    assert (full_disk / "dump.2").exists()


class Operator:
    """A console: ``answers`` are what somebody types, None if nobody types for a while."""

    def __init__(self, monkeypatch, *answers):
        self.answers, self.asked, self.now = list(answers), [], 0.0
        monkeypatch.setattr(tool.filesystem.select, "poll", lambda: self)
        monkeypatch.setattr(tool.filesystem.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(tool.filesystem.time, "sleep", self.wait)
        monkeypatch.setattr(os, "read", lambda fd, size: self.answers.pop(0))
        monkeypatch.setattr(os, "write", lambda fd, data: self.asked.append(data) or len(data))

    def register(self, fd, events):
        assert fd == 0

    def wait(self, seconds):
        self.now += seconds

    def poll(self, milliseconds):
        if self.answers and self.answers[0] is not None:
            return [(0, 1)]
        self.now += milliseconds / 1000
        if self.answers:
            self.answers.pop(0)
        return []


@pytest.mark.parametrize(
    ("answers", "deleted"),
    [
        ([b"y\n"], True),
        ([b"n\n"], False),
        ([b"what?\n", b"YES\n"], True),
        ([None, None, b"yes\n"], True),
        ([b"\n", b"no\n"], False),
    ],
)
def test_interactive_mode_asks_first(full_disk, monkeypatch, answers, deleted):
    console = Operator(monkeypatch, *answers)
    if deleted:
        make_room(full_disk, "dump_mode=interactive")
    else:
        with pytest.raises(tool.filesystem.DiskFull, match="to be kept"):
            make_room(full_disk, "dump_mode=interactive")
    assert b"/dump.7" in console.asked[0]
    assert (full_disk / "dump.7").exists() is not deleted


@pytest.mark.parametrize("answers", [[], [b""] * 10000])
def test_without_an_answer_the_oldest_dump_is_kept_and_the_console_tells(
    full_disk, monkeypatch, answers
):
    console = Operator(monkeypatch, *answers)
    with pytest.raises(
        tool.filesystem.DiskFull, match=r"no answer within 50 s: .*/dump\.7 is kept"
    ):
        make_room(full_disk, "dump_mode=interactive dump_wait=50")
    assert (full_disk / "dump.7").exists()
    assert console.now == pytest.approx(50, abs=1)
    questions = [text for text in console.asked if b"?" in text]
    assert len(questions) >= 3, "it asks again: nobody may think that it hangs"


def test_a_dump_for_which_there_is_no_room_leaves_no_file(tmp_path, source, released, monkeypatch):
    def full(fd, data, offset):
        raise OSError(errno.ENOSPC, "full")

    target = tmp_path / "dump.0"
    form = tool.Elf(tool.Core(str(source)))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(tool.filesystem.DiskFull):
        tool.filesystem.write_file(
            str(target), form, new_buffer(2 * PAGE), HSA, tool.Parameters("")
        )
    assert not target.exists()


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("/../etc", r"\.\. is not allowed"),
        ("/a/../../etc", r"\.\. is not allowed"),
        ("/link", "/link is a symbolic link"),
        ("/a/link/b", "/a/link is a symbolic link"),
        ("/file", "/file is not a directory"),
        ("/file/below", "/file is not a directory"),
    ],
)
def test_a_directory_outside_the_file_system_is_refused(tmp_path, monkeypatch, wanted, why):
    root = tmp_path / "mnt"
    (root / "a").mkdir(parents=True)
    (root / "file").touch()
    for link in (root / "link", root / "a/link"):
        link.symlink_to(tmp_path)
    monkeypatch.setattr(tool.filesystem, "MOUNT_POINT", str(root))
    with pytest.raises(tool.DumpError, match=why):
        tool.filesystem.make_directory(wanted)
    assert sorted(tmp_path.iterdir()) == [root], "nothing is made outside"


@pytest.mark.parametrize("wanted", ["/", "/a", "/new/deep/er", "/a/./b"])
def test_a_directory_that_is_missing_is_made(tmp_path, monkeypatch, wanted):
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(tool.filesystem, "MOUNT_POINT", str(tmp_path))
    made = tool.filesystem.make_directory(wanted)
    assert Path(made).is_dir()
    assert Path(made).samefile(f"{tmp_path}{wanted}")


def test_writing_goes_on_when_there_is_room_again(tmp_path, monkeypatch):
    writer = tool.output.Writer(str(tmp_path / "dump.0"), flags=os.O_CREAT)
    pwrite, failures = os.pwrite, [OSError(errno.ENOSPC, "full")]

    def full_once(fd, data, offset):
        if failures:
            raise failures.pop()
        return pwrite(fd, data, offset)

    freed: list[bool] = []
    writer.on_full = lambda: freed.append(True)
    monkeypatch.setattr(os, "pwrite", full_once)
    with mmap.mmap(-1, PAGE) as buffer:
        buffer[:4] = b"data"
        with memoryview(buffer) as view:
            writer.write(view, 0)
    assert freed == [True]
    assert (tmp_path / "dump.0").read_bytes()[:4] == b"data"


@pytest.mark.parametrize(
    ("at", "magic", "kinds"),
    [
        (0, b"XFSB", ("xfs",)),
        (0x10040, b"_BHRfS_M", ("btrfs",)),
        (0x438, b"\x53\xef", ("ext4", "ext3", "ext2")),
        (0x438, b"\x53\xef" + bytes(0x10040 - 0x43A) + b"_BHRfS_M", ("ext4", "ext3", "ext2")),
        (0, b"XFS", ("ext4", "ext3", "ext2")),
        (0, b"", ("ext4", "ext3", "ext2")),
    ],
)
def test_only_an_ext_file_system_is_checked_before_it_is_mounted(
    tmp_path, monkeypatch, at, magic, kinds
):
    partition = tmp_path / "sda1"
    partition.write_bytes(bytes(at) + magic)
    done: list[Any] = []

    def mount(what, where, kind):
        done.append(kind)
        raise OSError(19, "No such device")

    monkeypatch.setattr(tool.filesystem, "wait_for", lambda *_: str(partition))
    monkeypatch.setattr(tool.filesystem, "check_file_system", lambda _: done.append("e2fsck"))
    monkeypatch.setattr(tool.filesystem, "mount", mount)
    with pytest.raises(tool.DumpError, match=r"cannot mount .*No such device"):
        tool.filesystem.dump_to_file("sda", tool.Parameters(""), None, None, 0, 512)
    assert done == ([] if len(kinds) == 1 else ["e2fsck"]) + list(kinds)
