from __future__ import annotations

import gzip
import struct
import sys
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.formats.page_runs import runs_in_bitmap
from harness.errors import EvidenceError, HostError, UsageError
from harness.inspect.compare import compare
from harness.progress import NoProgress
from tests.support import dumps
from tests.support.dumps.byte_source import Memory
from tests.support.dumps.kdump import (
    BITMAP_AT,
    CPUS,
    DESCRIPTORS,
    DUMPED,
    INCOMPLETE,
    LZO,
    NOTES_AT,
    PAGE,
    PAGES,
    SNAPPY,
    SUB_HEADER,
    ZLIB,
    ZSTD,
    flat,
    kdump,
    packed,
    page,
)
from tests.support.evidence import VMCOREINFO, elf_note

LEFT_OUT = [(2 * PAGE, 4 * PAGE), (9 * PAGE, 10 * PAGE)]
METHODS = [
    pytest.param(0, id="raw"),
    pytest.param(ZLIB, id="zlib"),
    pytest.param(LZO, id="lzo"),
    pytest.param(SNAPPY, id="snappy"),
    pytest.param(ZSTD, id="zstd"),
]
RECORDED = Path(dumps.__file__).with_name("recorded")


def written(directory: Path, content: bytes) -> Path:
    path = directory / "dump.kdump"
    path.write_bytes(content)
    return path


def recorded(directory: Path, form: str) -> Path:
    return written(directory, gzip.decompress((RECORDED / f"{form}.gz").read_bytes()))


@pytest.mark.parametrize("form", ["zlib", pytest.param("lzo"), "raw", "flattened", "flattened-elf"])
def test_a_dump_of_makedumpfile_is_read_like_its_core(tmp_path: Path, form: str):
    core = ElfDump(Memory(gzip.decompress((RECORDED / "core.gz").read_bytes()), "core"))
    with open_dump(recorded(tmp_path, form)) as dump:
        assert dump.format == ("elf" if form == "flattened-elf" else "kdump")
        assert dump.memory_map == core.memory_map
        assert len(dump.memory_map) > 3
        for start, end in core.memory_map:
            assert dump.read(start, end - start) == core.read(start, end - start)
        assert dump.cpus == core.cpus
        assert dump.vmcoreinfo == core.vmcoreinfo
        assert (dump.length, dump.missing, dump.incomplete) == (dump.content.size, 0, None)
        assert bool(dump.container) == form.startswith("flattened")


@pytest.mark.parametrize(
    ("method", "form", "package"), [(LZO, "lzo", "lzallright"), (SNAPPY, "snappy", "cramjam")]
)
def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: int, form: str, package: str
):
    monkeypatch.setitem(sys.modules, package, None)
    why = f"compressed with {form}: the Python package {package} is not installed"
    path = written(tmp_path, kdump(0, status=method))
    with pytest.raises(HostError, match=f"{path}: {why}") as caught:
        open_dump(path)
    assert f"pip install {package}" in caught.value.hint
    path = written(tmp_path, descriptor(PAGE, 10, method))
    with open_dump(path) as dump, pytest.raises(EvidenceError, match=f"page 0x0: {why}"):
        dump.read(0, 1)


@pytest.mark.parametrize("method", METHODS)
def test_pages_left_out_are_not_zero_pages(tmp_path: Path, method: int):
    path = written(tmp_path, kdump(method))
    with open_dump(path) as dump:
        assert dump.memory_map == (
            (0, 2 * PAGE),
            (4 * PAGE, 5 * PAGE),
            (6 * PAGE, 9 * PAGE),
            (10 * PAGE, 20 * PAGE),
        )
        for number in DUMPED:
            assert dump.read(number * PAGE, PAGE) == page(number)
        assert dump.read(7 * PAGE - 8, PAGE + 16) == bytes([7]) * 8 + bytes(PAGE + 8)
        with pytest.raises(EvidenceError, match=f"{path}: page 0x9000 was left out of the dump"):
            dump.read(9 * PAGE, 1)
        with pytest.raises(EvidenceError, match="page 0x2000 was left out"):
            dump.read(PAGE, 2 * PAGE)
        with pytest.raises(EvidenceError, match="has no memory at 0x5000"):
            dump.read(5 * PAGE, 1)
        assert dump.cpus == tuple(CPUS)
        assert dump.vmcoreinfo == VMCOREINFO
        assert dump.facts == {
            "header_version": 6,
            "release": "6.12.1",
            "tv_sec": 1700000000,
            "status": method,
            "nr_cpus": 2,
            "dump_level": 31,
            "max_mapnr": PAGES,
            "left_out": 3,
        }
        assert dump.length == path.stat().st_size
        covered = {
            at // PAGE for start, end in dump.data_ranges() for at in range(start, end, PAGE)
        }
        assert covered == set(DUMPED)


def test_truncated_dump_opens_and_tells_what_is_missing(tmp_path: Path):
    content = kdump(0)
    path = written(tmp_path, content[: -3 * PAGE - 1])
    with open_dump(path) as dump:
        assert dump.missing == 4 * PAGE
        assert dump.length == len(content)
        with pytest.raises(EvidenceError, match="truncated: page 0x13000"):
            dump.read(19 * PAGE, 1)
    with open_dump(written(tmp_path, content[: DESCRIPTORS + 24])) as dump:
        assert dump.missing == len(DUMPED) * PAGE
        with pytest.raises(EvidenceError, match="truncated: descriptor of page 0x1000"):
            dump.read(PAGE, 1)


def test_incomplete_dump_says_so(tmp_path: Path):
    content = bytearray(kdump(status=ZLIB | INCOMPLETE))
    content[DESCRIPTORS : DESCRIPTORS + 8] = bytes(8)
    with open_dump(written(tmp_path, bytes(content))) as dump:
        assert dump.incomplete is not None
        assert "ran out of space" in dump.incomplete
        assert dump.missing == PAGE
        with pytest.raises(EvidenceError, match="page 0x0 was lost"):
            dump.read(0, 1)


@pytest.mark.parametrize("version", [1, 3, 4])
def test_older_headers_have_less(tmp_path: Path, version: int):
    with open_dump(written(tmp_path, kdump(version=version))) as dump:
        assert dump.read(0, PAGE) == page(0)
        assert dump.cpus == (tuple(CPUS) if version >= 4 else ())
        assert dump.vmcoreinfo == (VMCOREINFO if version >= 3 else None)


def descriptor(offset: int, size: int, flags: int) -> bytes:
    content = bytearray(kdump())
    content[DESCRIPTORS : DESCRIPTORS + 24] = struct.pack(">QIIQ", offset, size, flags, 0)
    return bytes(content)


BOMB = zlib.compress(bytes(1 << 20))
BAD_PAGES = {
    "two methods": (descriptor(PAGE, 10, ZLIB | ZSTD), "has flags 0x21 and size 10"),
    "raw and short": (descriptor(PAGE, 10, 0), "has flags 0x0 and size 10"),
    "huge": (descriptor(PAGE, 1 << 31, ZLIB), "has size 2147483648, more than a page"),
    "no zlib": (descriptor(PAGE, 10, ZLIB), "is damaged: zlib: "),
    "no zstd": (descriptor(PAGE, 10, ZSTD), "is damaged: zstd: "),
    "short": (descriptor(NOTES_AT, 0, ZLIB), "is damaged: unpacks to 0 bytes, not 4096"),
    "bomb": (
        descriptor(len(kdump()), len(BOMB), ZLIB) + BOMB,
        "is damaged: unpacks to 4097 or more bytes, not 4096",
    ),
    "behind the end": (descriptor(1 << 62, 10, ZLIB), "truncated: page 0x0"),
}


@pytest.mark.parametrize("name", BAD_PAGES)
def test_bad_page_is_refused_with_its_place(tmp_path: Path, name: str):
    content, message = BAD_PAGES[name]
    path = written(tmp_path, content)
    with open_dump(path) as dump:
        with pytest.raises(EvidenceError, match=message) as caught:
            dump.read(0, 1)
        assert str(path) in caught.value.message
        assert dump.read(PAGE, PAGE) == page(1)


@pytest.mark.parametrize(
    ("method", "bomb"),
    [
        pytest.param(LZO, "is damaged: unpacks to 65536 or more bytes, not 4096"),
        pytest.param(SNAPPY, "is damaged: snappy: output buffer"),
    ],
    ids=["lzo", "snappy"],
)
def test_a_bad_page_of_an_optional_method_is_refused_with_its_place(
    tmp_path: Path, method: int, bomb: str
):
    large, short = (packed(bytes(size), method) for size in (1 << 16, 100))
    end = len(kdump())
    for data, message in {
        bytes(10): "is damaged: (lzo|snappy|unpacks to 0 bytes)",
        packed(page(0), method)[:-1]: "is damaged: (lzo|snappy): ",
        short: "is damaged: unpacks to 100 bytes, not 4096",
        large: bomb,
    }.items():
        path = written(tmp_path, descriptor(end, len(data), method) + data)
        with open_dump(path) as dump:
            with pytest.raises(EvidenceError, match=f"{path}: .*page 0x0 {message}"):
                dump.read(0, 1)
            assert dump.read(PAGE, PAGE) == page(1)


REFUSED = {
    "31 bit": (kdump(machine=b"s390"), "foreign: utsname.machine is s390, not s390x"),
    "little-endian": (kdump(order="<", machine=b"x86_64"), "foreign: little-endian, from x86_64"),
    "large pages": (kdump(block_size=65536), "block_size is 65536, not 4096"),
    "split": (kdump(split=1), "one of the parts of makedumpfile --split"),
    "small bitmap": (kdump(max_mapnr=PAGE * 8 + 1), "max_mapnr says 32769 pages, bitmap_blocks 2"),
    "huge": (kdump(max_mapnr=1 << 62, bitmap_blocks=0xFFFFFFFE), "behind the end of the file"),
    "cut in the header": (kdump()[:300], "truncated: header"),
    "cut in the sub header": (kdump()[:4100], "truncated: sub header"),
    "cut in a bitmap": (kdump()[: BITMAP_AT + 5000], "behind the end of the file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused(tmp_path: Path, name: str):
    content, message = REFUSED[name]
    path = written(tmp_path, content)
    with pytest.raises(EvidenceError, match=message) as caught:
        open_dump(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("name", [b"", b"Unknown"])
def test_registers_tell_the_machine_if_the_header_does_not(tmp_path: Path, name: bytes):
    with open_dump(written(tmp_path, kdump(machine=name))) as dump:
        assert dump.cpus == tuple(CPUS)
    other = elf_note(b"CORE", 1, bytes(504)) + elf_note(b"LINUX", 0x100, bytes(544))  # of ppc64
    path = written(tmp_path, kdump(machine=name, notes=other + elf_note(b"VMCOREINFO", 0, b"A=1")))
    with pytest.raises(EvidenceError, match=r"foreign: utsname.machine is .*, and no note has"):
        open_dump(path)


def test_pages_that_were_left_out_do_not_become_zeros(tmp_path: Path):
    content = bytearray(kdump())
    path = written(tmp_path, bytes(content))
    with open_dump(path) as dump:
        for form in ("s390", "s390_ext"):
            with pytest.raises(UsageError, match="pages were left out by makedumpfile -d 31"):
                convert(dump, tmp_path / form, form, NoProgress())
        convert(dump, tmp_path / "elf", "elf", NoProgress())
        with ElfDump.open(tmp_path / "elf") as copy:
            assert list(copy.left_out) == list(dump.left_out) == LEFT_OUT
            assert copy.memory_map == ((0, 5 * PAGE), (6 * PAGE, 20 * PAGE))  # of the machine
            assert len(copy.layout.loads) == len(dump.segments)  # what was left out is behind
            results = [*compare(dump, copy, NoProgress()), *compare(copy, dump, NoProgress())]
            assert all(result.passed and not result.allowed for result in results)
    content[SUB_HEADER + 8 : SUB_HEADER + 12] = struct.pack(">I", 1)
    with open_dump(written(tmp_path, bytes(content))) as dump:
        assert dump.filtered is None  # those were zero
        assert list(dump.left_out) == LEFT_OUT
        convert(dump, tmp_path / "zeros", "elf", NoProgress())
        with ElfDump.open(tmp_path / "zeros") as copy:
            assert (copy.filtered, list(copy.left_out)) == (None, [])
            assert copy.memory_map == ((0, 5 * PAGE), (6 * PAGE, 20 * PAGE))
            assert copy.read(0, 5 * PAGE) == b"".join(map(page, range(2))) + bytes(2 * PAGE) + page(
                4
            )
    content[SUB_HEADER + 8 : SUB_HEADER + 12] = struct.pack(">I", 0)
    with open_dump(written(tmp_path, bytes(content))) as dump:
        assert dump.filtered == "3 pages were left out, although dump_level is 0"


def test_more_gaps_than_an_elf_header_can_count(tmp_path: Path):
    """Every second page was left out; the others are not of the machine."""
    blocks = 4
    head = kdump(max_mapnr=8 * blocks * PAGE, bitmap_blocks=2 * blocks)[:BITMAP_AT]
    path = written(tmp_path, head + b"\x55" * blocks * PAGE + bytes(blocks * PAGE))
    with open_dump(path) as dump:
        with pytest.raises(EvidenceError, match="more than 65532 segments are too many for ELF"):
            convert(dump, tmp_path / "elf", "elf", NoProgress())
        assert not (tmp_path / "elf").exists()


def test_senseless_sizes_of_notes_are_refused(tmp_path: Path):
    content = bytearray(kdump())
    content[SUB_HEADER + 40 : SUB_HEADER + 48] = struct.pack(">Q", 1 << 40)
    content[SUB_HEADER + 56 : SUB_HEADER + 64] = struct.pack(">Q", 1 << 40)
    with open_dump(written(tmp_path, bytes(content))) as dump:
        with pytest.raises(EvidenceError, match="1099511627776 bytes of notes"):
            _ = dump.cpus
        with pytest.raises(EvidenceError, match="1099511627776 bytes of VMCOREINFO"):
            _ = dump.vmcoreinfo


def test_large_sparse_dump_opens_at_once(tmp_path: Path):
    """1 TiB of memory, all of it in the dump, and nothing but its headers in the file."""
    pages = 1 << 28
    blocks = 2 * pages // 8 // PAGE
    path = written(tmp_path, kdump(max_mapnr=pages, bitmap_blocks=blocks)[:BITMAP_AT])
    with path.open("r+b") as file:
        file.truncate(BITMAP_AT + blocks * PAGE)
        for number in range(2):
            file.seek(BITMAP_AT + number * pages // 8)
            file.write(b"\xff" * 100)
    with open_dump(path) as dump:
        assert dump.memory_map == ((0, 800 * PAGE),)


def test_flattened_in_any_order(tmp_path: Path):
    content = kdump()
    middle = DESCRIPTORS + 10
    order = [(middle, len(content)), (0, 100), (100, middle), (0, 464)]
    path = written(tmp_path, flat(content, order))
    with open_dump(path) as dump:
        assert dump.container == "makedumpfile's flattened format"
        for number in DUMPED:
            assert dump.read(number * PAGE, PAGE) == page(number)


def record(offset: int, size: int) -> bytes:
    return flat(b"", [], end=False) + struct.pack(">qq", offset, size)


FLAT = flat(kdump(), [(0, len(kdump()))])
BAD_FLAT = {
    "no end": (FLAT[:-16], "truncated: record at offset"),
    "cut": (FLAT[:-100], "truncated: a record ends at offset"),
    "of the future": (FLAT.replace(bytes(7) + b"\1", bytes(7) + b"\2", 1), r"are \(2, 1\)"),
    "negative": (record(-5, 10), "record with offset -5, buf_size 10"),
    "empty": (record(0, 0), "record with offset 0, buf_size 0"),
    "huge": (record(1 << 62, 10), "record with offset 4611686018427387904"),
    "only the header": (flat(b"", []), "is empty"),
    "of no dump": (flat(b"no dump", [(0, 7)]), "no dump: offset 0 holds 6e 6f"),
    "twice": (flat(FLAT, [(0, len(FLAT))]), "is flattened twice"),
}


@pytest.mark.parametrize("name", BAD_FLAT)
def test_bad_flattened_dump_is_refused(tmp_path: Path, name: str):
    content, message = BAD_FLAT[name]
    path = written(tmp_path, content)
    with pytest.raises(EvidenceError, match=message) as caught:
        open_dump(path)
    assert str(path) in caught.value.message


@given(st.binary(max_size=40), st.integers(0, 350))
def test_runs_are_the_bits_that_are_set(bits: bytes, pages: int):
    runs = runs_in_bitmap(Memory(b"xxx" + bits, "bitmap"), 3, len(bits), pages)
    here = [
        number for number in range(min(pages, 8 * len(bits))) if bits[number // 8] & 1 << number % 8
    ]
    each = [runs[number] for number in range(len(runs))]
    assert [number for run in each for number in range(*run)] == here
    assert all(before[1] < after[0] for before, after in pairwise(each))
    assert runs.count == len(here)
    found = {number: runs.index_of(number) for number in range(330)}
    assert found == {n: here.index(n) if n in here else None for n in range(330)}


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, DESCRIPTORS + 100), st.binary(min_size=1, max_size=8)), max_size=6
    ),
    st.integers(0, len(kdump())),
    st.booleans(),
)
def test_damaged_dump_raises_evidence_error_only(
    tmp_path: Path, damages: list[tuple[int, bytes]], length: int, flattened: bool
):
    content = bytearray(FLAT if flattened else kdump())
    for offset, data in damages:
        content[offset : offset + len(data)] = data
    for damaged in (content, content[:length]):
        path = written(tmp_path, bytes(damaged))
        assert read_all(path).startswith(str(path))
