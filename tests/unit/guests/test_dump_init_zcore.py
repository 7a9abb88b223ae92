"""The dump tool's source zcore/mem, on this host: an ordinary file in place of it."""

from __future__ import annotations

import os
import random
import struct

import pytest

from harness.dump.byte_source import File
from harness.dump.detect import read_dump
from tests.support.guests.dump_tool import PAGE, new_buffer, tool

MEMORY = 64 * PAGE
HSA = 8 * PAGE
PREFIXES = (0x8000, 0x10000)


def zcore_mem(*, magic: int = 0xA8190173618F23FD, size: int = MEMORY, page: int = PAGE) -> bytes:
    """A file as Linux 4.4 shows it (``drivers/s390/char/zcore.c``, struct zcore_header)."""
    header = struct.pack(
        ">QIIIIQQQIIQQIIIQBHH",
        *(magic, 5, PAGE, 0, page, size, 0, size, size // PAGE, 0, 1 << 60, 0x1234, 2, 0, 2),
        *(size, 0, len(PREFIXES), len(PREFIXES)),
    )
    prefixes = struct.pack(f">{len(PREFIXES)}I", *PREFIXES)
    first = header.ljust(0x800, b"\0") + prefixes
    return first.ljust(PAGE, b"\0") + random.Random(2).randbytes(size)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "mem"
    path.write_bytes(zcore_mem())
    return path


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(tool.machine, "release_hsa", lambda: None)
    monkeypatch.setattr(tool.machine, "say", lambda text: None)
    monkeypatch.setattr(tool.standalone, "cpu_id", lambda: 0)


def write(tmp_path, form):
    target = tmp_path / "dump.0"
    tool.filesystem.write_file(str(target), form, new_buffer(4 * PAGE), HSA, "auto")
    return target


def test_the_dump_is_the_file_and_an_end_marker(tmp_path, source):
    target = write(tmp_path, tool.CopyOfZcoreMem(tool.ZcoreMem(str(source))))
    written, shown = target.read_bytes(), source.read_bytes()
    assert written[: len(shown)] == shown
    marker, tod = struct.unpack(">8sQ", written[len(shown) :][:16])
    assert marker == b"DUMP_END"
    assert tod >= 1 << 60
    with File.open(target) as file:
        dump = read_dump(file)
        assert [segment.size for segment in dump.segments] == [MEMORY]


def test_the_compressed_form_has_the_same_memory(tmp_path, source):
    target = write(tmp_path, tool.Compressed(tool.ZcoreMem(str(source))))
    with File.open(target) as file:
        assert read_dump(file).read(0, MEMORY) == source.read_bytes()[PAGE:]


def test_a_limit_is_in_the_header(tmp_path, source):
    target = write(tmp_path, tool.CopyOfZcoreMem(tool.ZcoreMem(str(source), 20 * PAGE)))
    with File.open(target) as file:
        assert read_dump(file).read(0, 20 * PAGE) == source.read_bytes()[PAGE:][: 20 * PAGE]
    assert struct.unpack_from(">QQQI", target.read_bytes(), 0x18) == (20 * PAGE, 0, 20 * PAGE, 20)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x7fELF" + bytes(PAGE), "has magic"),
        (zcore_mem(magic=1), "has magic 0x1"),
        (zcore_mem(page=8192), "pages of 8192"),
        (zcore_mem()[:100], "only 100 of 4096 bytes"),
    ],
)
def test_another_file_is_refused(tmp_path, content, what):
    path = tmp_path / "mem"
    path.write_bytes(content)
    with pytest.raises(tool.DumpError, match=what):
        tool.ZcoreMem(str(path))


def test_a_file_that_ends_early_is_no_dump(tmp_path, source):
    os.truncate(source, PAGE + MEMORY // 2)
    with pytest.raises(tool.DumpError, match="the crashed memory ends at"):
        write(tmp_path, tool.CopyOfZcoreMem(tool.ZcoreMem(str(source))))
    assert (tmp_path / "dump.0").read_bytes()[:8] == bytes(8)


@pytest.mark.parametrize("wanted", ["dump_format=elf", "dump_format=elf dump_compress=gzip"])
def test_it_is_no_elf_dump(monkeypatch, wanted):
    monkeypatch.setattr(tool.machine, "source", lambda: "/debug/zcore/mem")
    monkeypatch.setattr(tool.machine, "available_memory", lambda: pytest.fail("went on"))
    with pytest.raises(tool.DumpError, match=r"is not possible .* from /debug/zcore/mem"):
        tool.dump(tool.Parameters(wanted))


def test_memory_that_cannot_be_read_is_named(tmp_path, source, monkeypatch):
    preadv = os.preadv

    def failing(fd, views, offset):
        if offset > PAGE + HSA:
            raise OSError(5, "Input/output error")
        return preadv(fd, views, offset)

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(tool.DumpError, match="cannot read memory at 0xc000 after the HSA"):
        write(tmp_path, tool.CopyOfZcoreMem(tool.ZcoreMem(str(source))))
