from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.detect import open_dump
from harness.errors import EvidenceError
from tests.support.dumps.lkcd import (
    COMPRESSED,
    CPUS,
    END_MARKER,
    HEADER_SIZE,
    HOLES,
    MEMORY,
    PAGE,
    PAGES,
    RAW,
    header,
    lkcd,
    page_at,
    pages,
)
from tests.support.evidence import VMCOREINFO, stored


def written(directory: Path, content: bytes) -> Path:
    path = directory / "dump.0"
    path.write_bytes(content)
    return path


FORMS = {
    "compressed": lkcd(),
    "compressed, all pages": lkcd(range(PAGES)),
    "raw": lkcd(pack=False),
    "raw, all pages": lkcd(range(PAGES), pack=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_everything_in_a_dump_is_found(tmp_path: Path, form: str):
    everything = ((0, PAGES * PAGE),)
    holes = ((0, 30 * PAGE), (50 * PAGE, 77 * PAGE), (78 * PAGE, 80 * PAGE))
    with open_dump(written(tmp_path, FORMS[form])) as dump:
        assert dump.format == "lkcd"
        assert dump.memory_map == (everything if "all" in form else holes)
        for start, end in dump.memory_map:
            assert dump.read(start, end - start) == MEMORY[start:end]
        for number in random.Random(1).sample(range(50, 77), 20):
            at = number * PAGE + 100
            assert dump.read(at, 50) == MEMORY[at : at + 50]
        assert dump.cpus == tuple(stored(cpu) for cpu in CPUS)
        assert dump.vmcoreinfo == VMCOREINFO
        assert (dump.length, dump.missing) == (dump.content.size, 0)
        assert dump.incomplete is None
        assert dump.facts["cpu_cnt"] == 2
        assert dump.facts["panic_string"] == "zSeries-dump (CPUID = ff)"
        assert dump.facts["utsname_release"] == "5.4"
        if "all" not in form:
            with pytest.raises(EvidenceError, match="has no memory at 0x1e000"):
                dump.read(30 * PAGE, 1)


MARKERS = {
    "zfcpdump's wrong one": struct.pack(">QII", 0, 4, 0) + bytes(4),
    "vmconvert's last page again": page_at(HOLES[-1], pack=True),
    "one with something behind it": END_MARKER + bytes(100),
}


@pytest.mark.parametrize("name", MARKERS)
def test_other_end_markers_end_a_dump(tmp_path: Path, name: str):
    with open_dump(written(tmp_path, lkcd(end=MARKERS[name]))) as dump:
        assert dump.incomplete is None
        assert dump.length == len(lkcd())
        assert dump.memory_map[-1].end == PAGES * PAGE


def test_dump_without_s390_header_has_no_cpus(tmp_path: Path):
    with open_dump(written(tmp_path, header(cpus=None) + pages([0]) + END_MARKER)) as dump:
        assert dump.cpus == ()
        assert "cpu_cnt" not in dump.facts


def test_cpu_without_its_lowcore_is_refused(tmp_path: Path):
    with (
        open_dump(written(tmp_path, lkcd([0, 1, 2]))) as dump,
        pytest.raises(EvidenceError, match="has no memory at 0x3200"),
    ):
        _ = dump.cpus


def test_truncated_dump_tells_what_is_missing(tmp_path: Path):
    content = lkcd(end=b"")
    with open_dump(written(tmp_path, content)) as dump:
        assert dump.incomplete is not None
        assert "without an end marker" in dump.incomplete
        assert (dump.length, dump.missing) == (len(content), 0)
    with open_dump(written(tmp_path, content[:-30])) as dump:
        assert dump.incomplete is not None
        assert dump.missing == PAGE
        assert dump.read(78 * PAGE, PAGE) == MEMORY[78 * PAGE : 79 * PAGE]
        with pytest.raises(EvidenceError, match="has no memory at 0x4f000"):
            dump.read(79 * PAGE, 1)
    with open_dump(written(tmp_path, content[:HEADER_SIZE])) as dump:
        assert dump.missing == PAGES * PAGE


def bad(addr: int, size: int, flags: int) -> bytes:
    return header() + pages([0, 1, 2]) + struct.pack(">QII", addr, size, flags) + bytes(PAGE)


NO_PAGES = {
    "zeros": bad(0, 0, 0),
    "descending": bad(PAGE, 100, COMPRESSED),
    "behind mem_end": bad(PAGES * PAGE, 100, COMPRESSED),
    "no page's address": bad(3 * PAGE + 1, 100, COMPRESSED),
    "huge": bad(3 * PAGE, 0xFFFFFFFF, COMPRESSED),
    "empty": bad(3 * PAGE, 0, COMPRESSED),
    "raw and short": bad(3 * PAGE, 100, RAW),
    "unknown": bad(3 * PAGE, 100, 3),
}


@pytest.mark.parametrize("name", NO_PAGES)
def test_a_bad_page_header_makes_the_dump_incomplete(tmp_path: Path, name: str):
    with open_dump(written(tmp_path, NO_PAGES[name])) as dump:
        at = len(header() + pages([0, 1, 2]))
        assert dump.incomplete is not None
        assert f"no page and no end marker at offset {at:#x}: addr is" in dump.incomplete
        assert dump.memory_map == ((0, 3 * PAGE),)
        assert dump.missing == (PAGES - 3) * PAGE


def test_damaged_page_is_refused_with_its_place(tmp_path: Path):
    content = header() + struct.pack(">QII", 0, 20, COMPRESSED) + b"x" * 20 + pages([1])
    with open_dump(written(tmp_path, content + END_MARKER)) as dump:
        with pytest.raises(EvidenceError, match="offset 0x10000: page 0x0 is damaged: zlib: "):
            dump.read(0, 1)
        assert dump.read(PAGE, PAGE) == MEMORY[PAGE : 2 * PAGE]


def test_a_page_header_that_has_moved_is_refused(tmp_path: Path):
    content = bytearray(FORMS["raw, all pages"])
    at = HEADER_SIZE + 5 * (PAGE + 16)
    content[at : at + 8] = bytes(8)
    with (
        open_dump(written(tmp_path, bytes(content))) as dump,
        pytest.raises(EvidenceError, match=f"offset {at:#x}: the header of page 0x5000 is not"),
    ):
        dump.read(5 * PAGE, 1)


REFUSED = {
    "version 7": (header(version=7), "version is 7, not 8"),
    "large pages": (header(page_size=65536), "page_size is 65536, not 4096"),
    "31 bit": (header(machine=b"s390"), "utsname_machine is s390, not s390x"),
    "run length": (header(compress=1), "dump_compress is 1, not 0 or 2"),
    "headers apart": (header(hdr_size=HEADER_SIZE), "hdr_size is 65536"),
    "CPUs": (header(cpu_cnt=513), "cpu_cnt is 513, more than 512"),
    "memory": (header(mem_end=1 << 63 | 1), "mem_end is 0x8000000000000001"),
    "cut": (header()[:100], "truncated: header"),
    "cut later": (header()[:1000], "truncated: s390 header"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused(tmp_path: Path, name: str):
    content, message = REFUSED[name]
    path = written(tmp_path, content)
    with pytest.raises(EvidenceError, match=message) as caught:
        open_dump(path)
    assert str(path) in caught.value.message


def test_large_sparse_dump_without_compression_opens_at_once(tmp_path: Path):
    """64 GiB, of which only the first and the last header are there."""
    count = 1 << 24
    path = written(tmp_path, header(compress=0, mem_end=count * PAGE, cpus=None))
    with path.open("r+b") as file:
        file.seek(HEADER_SIZE)
        file.write(page_at(0, pack=False))
        file.seek(HEADER_SIZE + (count - 1) * (PAGE + 16))
        file.write(struct.pack(">QII", (count - 1) * PAGE, PAGE, RAW) + bytes(PAGE) + END_MARKER)
    with open_dump(path) as dump:
        assert dump.memory_map == ((0, count * PAGE),)
        assert dump.read((count - 1) * PAGE, PAGE) == bytes(PAGE)
        assert dump.read(0, PAGE) == MEMORY[:PAGE]


def read_all(path: Path) -> str:
    """How a dump was refused; what it is called if it was not."""
    try:
        with open_dump(path) as dump:
            _ = dump.facts, dump.incomplete, dump.length, dump.missing, dump.vmcoreinfo, dump.cpus
            for segment in dump.segments[:50]:
                segment.read(segment.paddr, 2 * PAGE)
            return dump.name
    except EvidenceError as error:
        return error.message


SMALL = header() + pages(range(6)) + END_MARKER


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(8, 3000) | st.integers(HEADER_SIZE, len(SMALL)),
            st.binary(min_size=1, max_size=8),
        ),
        max_size=6,
    ),
    st.integers(8, len(SMALL)),
)
def test_damaged_dump_raises_evidence_error_only(
    tmp_path: Path, damages: list[tuple[int, bytes]], length: int
):
    content = bytearray(SMALL)
    for offset, data in damages:
        content[offset : offset + len(data)] = data
    for damaged in (content, content[:length]):
        path = written(tmp_path, bytes(damaged))
        assert read_all(path).startswith(str(path))
