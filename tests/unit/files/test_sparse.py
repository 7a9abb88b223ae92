"""Copies with holes, within one file system and across two."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HostError
from harness.files import sparse

PAGE, MIB = 4096, 1 << 20
PIECES = st.lists(
    st.tuples(st.integers(0, 64), st.binary(min_size=1, max_size=2 * PAGE)), max_size=6
)


@pytest.fixture(params=["copied by the kernel", "across file systems"])
def across(request, monkeypatch):
    if request.param == "across file systems":

        def refuse(*_):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "copy_file_range", refuse)


@given(pieces=PIECES, tail=st.integers(0, 3 * PAGE))
def check_copy(make_directory, pieces, tail):
    directory = make_directory()
    source, target = directory / "source", directory / "target"
    with source.open("wb") as file:
        for page, data in pieces:
            file.seek(page * PAGE)
            file.write(data)
        file.truncate(file.seek(0, os.SEEK_END) + tail)
    sparse.copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks <= source.stat().st_blocks


def test_a_copy_is_equal_and_no_less_sparse(tmp_path_factory, across):
    check_copy(lambda: tmp_path_factory.mktemp("copy"))


def test_an_existing_target_is_not_touched(tmp_path):
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    with pytest.raises(FileExistsError):
        sparse.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_is_told_and_leaves_nothing(tmp_path, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "a").write_bytes(bytes(range(256)))
    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(HostError, match="no space left"):
        sparse.copy(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()


CHUNKS = st.lists(
    st.sampled_from([b"", b"\0", b"a", b"a" + bytes(PAGE), bytes(sparse.CHUNK - 1) + b"b"]),
    max_size=4,
)


def written(path, chunks, tail, *, holes):
    with path.open("wb") as file:
        if not holes:
            file.write(bytes(len(chunks) * sparse.CHUNK + tail))
        for number, chunk in enumerate(chunks):
            file.seek(number * sparse.CHUNK)
            file.write(chunk)
        file.truncate(len(chunks) * sparse.CHUNK + tail)
    return sparse.digest(path)


@settings(deadline=None)  # writes megabytes, on a disk that others use
@given(one=CHUNKS, other=CHUNKS, tail=st.sampled_from([0, 1, PAGE]))
def check_digest(make_directory, one, other, tail):
    directory = make_directory()
    known = written(directory / "one", one, tail, holes=True)
    assert written(directory / "dense", one, tail, holes=False) == known
    found = written(directory / "other", other, tail, holes=True)
    same = (directory / "one").read_bytes() == (directory / "other").read_bytes()
    assert (found == known) is same
    assert written(directory / "longer", one, tail + 1, holes=True) != known


def test_digest_follows_content_whatever_the_holes(tmp_path_factory):
    check_digest(lambda: tmp_path_factory.mktemp("digest"))


@given(
    before=st.binary(max_size=64),
    part=st.binary(min_size=1, max_size=64),
    after=st.binary(max_size=64),
)
def test_a_part_is_taken_out_and_put_back(before: bytes, part: bytes, after: bytes):
    with TemporaryDirectory() as name:
        whole, taken = Path(name) / "whole", Path(name) / "part"
        whole.write_bytes(before + part + after)
        sparse.copy_part(whole, len(before), len(part), taken)
        assert taken.read_bytes() == part
        other = bytes(byte ^ 1 for byte in part)
        taken.write_bytes(other)
        sparse.put_part(taken, whole, len(before))
        assert whole.read_bytes() == before + other + after


def test_holes_of_a_part_become_zeros(tmp_path: Path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.write_bytes(b"\1" * (4 * MIB))
    with part.open("wb") as file:
        file.truncate(2 * MIB)
        file.seek(MIB)
        file.write(b"\2" * 10)
    sparse.put_part(part, whole, MIB)
    expected = bytes(MIB) + (b"\2" * 10).ljust(MIB, b"\0")
    assert whole.read_bytes() == b"\1" * MIB + expected + b"\1" * MIB
