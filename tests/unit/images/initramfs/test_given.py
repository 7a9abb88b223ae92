"""A ramdisk that the user gives."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given as with_values
from hypothesis import strategies as st

from harness.errors import HarnessError, HostError, UsageError
from harness.images.initramfs import cpio, given

ENTRIES = (
    cpio.Entry("init", stat.S_IFREG | 0o755, b"#!/bin/sh\n"),
    cpio.Entry("proc", stat.S_IFDIR | 0o755),
)
ARCHIVE = cpio.archive(ENTRIES)


def unpacked(data: bytes) -> list[cpio.Entry]:
    return list(cpio.entries(gzip.decompress(data)))


@pytest.mark.parametrize(
    "data",
    [ARCHIVE, gzip.compress(ARCHIVE), lzma.compress(ARCHIVE), zstandard.compress(ARCHIVE)],
    ids=["plain", "gzip", "xz", "zstd"],
)
def test_an_archive_compressed_or_not(tmp_path: Path, data: bytes):
    path = tmp_path / "ramdisk"
    path.write_bytes(data)
    assert unpacked(given.ramdisk(path)) == list(ENTRIES)


def test_a_list(tmp_path: Path):
    (tmp_path / "init").write_bytes(b"#!/bin/sh\n")
    path = tmp_path / "ramdisk.list"
    path.write_text(f"file /init {tmp_path}/init 0755 0 0\ndir /proc 0755 0 0\n")
    assert unpacked(given.ramdisk(path)) == list(ENTRIES)


def test_a_directory(tmp_path: Path):
    (tmp_path / "init").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "init").chmod(0o755)
    (tmp_path / "proc").mkdir(mode=0o755)
    (tmp_path / "proc").chmod(0o755)
    (tmp_path / "sbin").symlink_to("proc")
    link = cpio.Entry("sbin", stat.S_IFLNK | 0o777, b"proc")
    assert unpacked(given.ramdisk(tmp_path)) == [*ENTRIES, link]


def test_a_socket_is_refused(tmp_path: Path):
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    with pytest.raises(UsageError, match="of a kind that a ramdisk does not have"):
        given.ramdisk(tmp_path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (lzma.compress(ARCHIVE)[:-40], "no archive that a kernel unpacks"),
        (lzma.compress(ARCHIVE)[:8] + b"x" * 80, "cannot be unpacked"),
        (zstandard.compress(ARCHIVE)[:8] + b"x" * 80, "cannot be unpacked"),
        (lzma.compress(b"no archive"), "no archive that a kernel unpacks"),
        (ARCHIVE[:200], "no archive that a kernel unpacks"),
        (b"070701", "no archive that a kernel unpacks"),
        (b"fil /init x 0755 0 0", "'fil' is none of"),
    ],
)
def test_what_is_no_ramdisk_is_refused(tmp_path: Path, data: bytes, what: str):
    path = tmp_path / "ramdisk"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=what):
        given.ramdisk(path)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(given, "LARGEST", 1 << 20)
    path = tmp_path / "ramdisk"
    for data in (lzma.compress(bytes(2 << 20)), zstandard.compress(bytes(2 << 20))):
        path.write_bytes(data)
        with pytest.raises(UsageError):
            given.ramdisk(path)
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(UsageError, match="no ramdisk of a dump system"):
        given.ramdisk(path)


@pytest.mark.parametrize("pack", [bytes, lzma.compress, zstandard.compress])
def test_without_init_nothing_starts(tmp_path: Path, pack: Callable[[bytes], bytes]):
    path = tmp_path / "ramdisk"
    path.write_bytes(pack(cpio.archive(ENTRIES[1:])))
    with pytest.raises(UsageError, match="has no /init"):
        given.ramdisk(path)
    assert unpacked(given.ramdisk(path, with_init=False)) == [*ENTRIES[1:]]


def test_a_directory_or_a_list_without_init(tmp_path: Path):
    (tmp_path / "root/init").mkdir(parents=True)
    (tmp_path / "root/init").rename(tmp_path / "root/proc")
    (tmp_path / "list").write_text("dir /proc 0755 0 0\n")
    for name in ("root", "list"):
        with pytest.raises(UsageError, match="has no /init"):
            given.ramdisk(tmp_path / name)


@pytest.mark.parametrize("prefix", ["", "./", "/"])
def test_init_may_be_in_another_archive_behind_the_first(tmp_path: Path, prefix: str):
    path = tmp_path / "ramdisk"
    named = replace(ENTRIES[0], name=f"{prefix}init")
    path.write_bytes(cpio.archive([named]))
    given.ramdisk(path)
    path.write_bytes(cpio.archive(ENTRIES[1:]) + cpio.archive([named]))
    given.ramdisk(path)


def test_what_does_not_fit_into_the_hsa_is_refused_before_it_is_read(tmp_path: Path):
    root = tmp_path / "a root: large"
    root.mkdir()
    with (root / "init").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    (tmp_path / "large").write_bytes(b"x" * 2000)
    (tmp_path / "list").write_text(f"file /init {tmp_path}/large 0755 0 0\n")
    (tmp_path / "cpio").write_bytes(lzma.compress(ARCHIVE + bytes(2000)))
    for path in (root, tmp_path / "large", tmp_path / "list", tmp_path / "cpio"):
        with pytest.raises(UsageError, match=re.escape(f"{path} has more than 1000 bytes")):
            given.ramdisk(path, room=1000)


def test_a_loop_of_links_is_no_loop(tmp_path: Path):
    (tmp_path / "init").touch()
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "away").symlink_to("away")
    assert {e.name for e in unpacked(given.ramdisk(tmp_path))} == {"init", "self", "away"}


def test_an_unreadable_directory_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "secret").mkdir()
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("secret"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(HostError, match="secret: Permission denied"):
        given.ramdisk(tmp_path, with_init=False)


def test_a_fifo_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="fifo is not a regular file"):
        given.ramdisk(tmp_path / "fifo")


def test_it_is_not_there(tmp_path: Path):
    with pytest.raises(UsageError, match="No such file"):
        given.ramdisk(tmp_path / "missing")


def test_one_more_file_follows():
    data = given.with_file(gzip.compress(ARCHIVE), "/etc/deep/mine.conf", "a=1\n")
    start = data.index(cpio.MAGIC)
    assert start % cpio.ALIGNMENT == 0
    found = list(cpio.entries(data[start:]))
    assert [entry.name for entry in found] == ["etc", "etc/deep", "etc/deep/mine.conf"]
    assert found[-1].data == b"a=1\n"


@with_values(st.binary(max_size=300))
def test_anything_is_a_ramdisk_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("given") / "ramdisk"
    path.write_bytes(data)
    with suppress(HarnessError):
        given.ramdisk(path)
