"""How the dump tool reads the crashed memory: with read, or through a map."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.guests.dump_tool import PAGE, new_buffer, tool

HSA = 8 * PAGE
SIZE = 40 * PAGE
CONTENT = random.Random(1).randbytes(SIZE)


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("source") / "vmcore"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(autouse=True)
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(tool.source, "say", lines.append)
    monkeypatch.setattr(tool.source, "WINDOW", 4 * PAGE)
    return lines


def mapped(path: Path):
    source = tool.source.Source(os.open(path, os.O_RDONLY))
    source.mapped = True
    return source


def no_read(*_: object) -> None:
    pytest.fail("the file was read, not mapped")


@settings(max_examples=50, deadline=None)
@given(
    ranges=st.lists(
        st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted), min_size=1, max_size=4
    ),
    pages=st.integers(1, 6),
)
def test_a_map_gives_what_a_read_gives(shown, ranges, pages):
    source, buffer = mapped(shown), new_buffer(pages * PAGE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "preadv", no_read)
        for start, end in ranges:
            views = source.pieces(start, end - start, buffer)
            assert b"".join(map(bytes, views)) == CONTENT[start:end]
    os.close(source.fd)
    os.close(buffer.fd)


def test_memory_that_is_not_there_is_an_error_at_its_first_page(tmp_path):
    """The pages of a map that are behind the end of its file are not there."""
    path = tmp_path / "vmcore"
    path.write_bytes(CONTENT)
    source = mapped(path)
    pieces = source.pieces(0, 4 * PAGE, new_buffer(PAGE))
    assert next(pieces) == CONTENT[:PAGE]
    os.truncate(path, 2 * PAGE)
    assert next(pieces) == CONTENT[PAGE : 2 * PAGE]
    with pytest.raises(tool.source.ReadError) as caught:
        next(pieces)
    assert caught.value.offset == 2 * PAGE
    assert "Bad address" in str(caught.value.reason)


def test_what_is_there_before_the_first_bad_page_is_dumped(tmp_path):
    path = tmp_path / "vmcore"
    path.write_bytes(CONTENT)
    source = mapped(path)
    pieces = source.pieces(0, 4 * PAGE, new_buffer(4 * PAGE))
    source._map(0, 4 * PAGE)
    os.truncate(path, 3 * PAGE)
    assert next(pieces) == CONTENT[: 3 * PAGE]
    with pytest.raises(tool.source.ReadError) as caught:
        next(pieces)
    assert caught.value.offset == 3 * PAGE


def test_a_file_that_cannot_be_mapped_is_read(said):
    """A pseudo file, like zcore/mem, has no memory of its own to map."""
    fd = os.open("/proc/self/auxv", os.O_RDONLY)
    expected = os.pread(fd, PAGE, 0)
    source = tool.source.Source(fd)
    source.mapped = True
    pieces = source.pieces(0, len(expected), new_buffer(PAGE))
    assert b"".join(map(bytes, pieces)) == expected
    assert [line.split(":")[0] for line in said] == [
        "the crashed memory is read, because it cannot be mapped"
    ]


def test_without_room_in_the_ramdisk_the_buffer_has_no_file(shown, said, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        buffer = tool.Buffer(PAGE, f"{tmp_path}/buffer")
    assert buffer.fd is None
    source = tool.source.Source(os.open(shown, os.O_RDONLY))
    assert b"".join(map(bytes, source.pieces(1, 3 * PAGE, buffer))) == CONTENT[1 : 3 * PAGE + 1]
    assert said == ["the ramdisk has no room for a buffer of 4096 bytes: [Errno 28] full"]


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "full")


def test_a_file_that_ends_early_is_named(shown, said):
    """Python maps nothing behind the end of a file, so it is read."""
    source = mapped(shown)
    with pytest.raises(tool.DumpError, match=f"ends at {SIZE:#x}, before its headers say"):
        list(source.pieces(SIZE - PAGE, 2 * PAGE, new_buffer(PAGE)))
    assert "cannot be mapped: mmap length is greater than file size" in said[0]


def test_what_is_wanted_later_is_mapped_with_it(shown, monkeypatch):
    maps = []
    monkeypatch.setattr(tool.source.mmap, "mmap", recorded(tool.source.mmap.mmap, maps))
    source, buffer = mapped(shown), new_buffer(PAGE)
    maps.clear()
    for at in range(0, 8 * PAGE, PAGE):
        (view,) = source.pieces(at, PAGE, buffer, until=6 * PAGE)
        assert view == CONTENT[at : at + PAGE]
    assert maps == [4 * PAGE, 2 * PAGE, PAGE, PAGE]


def recorded(function, sizes: list[int]):
    def recording(fd, size, *arguments, **named):
        sizes.append(size)
        return function(fd, size, *arguments, **named)

    return recording
