from __future__ import annotations

import random
import struct
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.detect import open_dump, read_dump
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.s390x.storestatus import additional_status_area, cpu_state, status_area
from tests.support.cpus import make_cpu
from tests.support.dumps.byte_source import Memory
from tests.support.dumps.s390 import (
    END_TOD,
    EXTENDED,
    LAST,
    MIB,
    PAGE,
    TOD,
    VMCOREINFO,
    compressed_segment,
    end_marker,
    extended,
    header,
    plain,
    raw_segment,
    store,
    vmcoreinfo,
)
from tests.support.evidence import stored
from tests.support.strategies import cpu_states

CPUS = (stored(make_cpu(1)), stored(make_cpu(2)))
NO_VECTORS = replace(CPUS[1], vxrs_low=None, vxrs_high=None)
PREFIXES = tuple(cpu.prefix for cpu in CPUS)
NAME = "some.dump"


def memory(size: int = 0x40000) -> bytes:
    """Random, with two CPUs and VMCOREINFO; only the first has a place for vector registers."""
    data = bytearray(random.Random(390).randbytes(size))
    store(data, CPUS[0], vectors_at=0x30400)
    store(data, CPUS[1], vectors_at=0x3080B)  # an area for guarded storage, too: not stored
    vmcoreinfo(data, 0x31000)
    return bytes(data)


MEMORY = memory()
PLAIN_DUMP = plain(MEMORY, PREFIXES)
ALL_KINDS = [  # 0-1 MiB random, 1-2 zero, 2-4.5 compressed with a raw entry, zeros up to 6
    random.Random(1).randbytes(MIB),
    bytes(MIB),
    b"\x5a" * MIB + random.Random(2).randbytes(MIB) + b"tail" * (MIB // 8),
    bytes(3 * MIB // 2),
]
EXTENDED_MEMORY = memory(MIB) + b"".join(ALL_KINDS[1:])
SEGMENTS = [
    raw_segment(0, EXTENDED_MEMORY[:MIB]),
    compressed_segment(2 * MIB, ALL_KINDS[2], LAST, raw=[1]),
]
EXTENDED_DUMP = extended(len(EXTENDED_MEMORY), SEGMENTS, PREFIXES)
DUMPS = {"s390": (PLAIN_DUMP, MEMORY), "s390_ext": (EXTENDED_DUMP, EXTENDED_MEMORY)}


def opened(content: bytes) -> Dump:
    return read_dump(Memory(content, NAME))


def patched(content: bytes, offset: int, data: bytes) -> bytes:
    return content[:offset] + data + content[offset + len(data) :]


@given(cpu_states)
def test_status_areas_are_read_as_they_were_stored(cpu: CpuState):
    again = cpu_state(status_area(cpu), additional_status_area(cpu))
    assert again == replace(cpu, clock_comparator=cpu.clock_comparator >> 8)


@given(st.integers(0, 511))
def test_short_status_areas_are_refused(size: int):
    with pytest.raises(ValueError, match="too short"):
        cpu_state(bytes(size))
    with pytest.raises(ValueError, match="too short"):
        cpu_state(bytes(512), bytes(size))


def test_bytes_of_no_register_stay(cpu: CpuState):
    before = bytes([0xA5]) * 512
    area = status_area(cpu, before)
    gaps = [*range(0x110, 0x118), *range(0x120, 0x124), *range(0x138, 0x140)]
    assert {area[at] for at in gaps} == {0xA5}
    assert cpu_state(area) == cpu_state(status_area(cpu))


@pytest.mark.parametrize("name", DUMPS)
def test_everything_is_found(tmp_path: Path, name: str):
    content, expected = DUMPS[name]
    path = tmp_path / "any name"
    path.write_bytes(content)
    with open_dump(path) as dump:
        assert dump.format == name
        assert dump.read(0, len(expected)) == expected
        assert dump.cpus == (CPUS[0], NO_VECTORS)
        assert dump.vmcoreinfo == VMCOREINFO
        assert dump.memory_map == ((0, len(expected)),)
        assert (dump.missing, dump.incomplete, dump.length) == (0, None, len(content))
        assert dump.facts["tod"] == TOD
        assert dump.facts["em.tod"] == END_TOD
        assert dump.facts["real_cpu_cnt"] == 3


def test_bytes_after_a_dump_on_a_partition_are_not_part_of_it():
    for content, expected in DUMPS.values():
        dump = opened(content + bytes(range(256)) * 64)
        assert (dump.length, dump.missing, dump.incomplete) == (len(content), 0, None)
        assert dump.read(0, len(expected)) == expected


@given(st.data())
def test_extended_memory_can_be_read_anywhere(data: st.DataObject):
    at = data.draw(st.integers(0, len(EXTENDED_MEMORY) - 1))
    size = data.draw(st.integers(1, min(3 * MIB, len(EXTENDED_MEMORY) - at)))
    assert opened(EXTENDED_DUMP).read(at, size) == EXTENDED_MEMORY[at : at + size]


def test_memory_between_extended_segments_is_no_data():
    assert list(opened(EXTENDED_DUMP).data_ranges()) == [
        (0, MIB),
        (2 * MIB, 2 * MIB + len(ALL_KINDS[2])),
    ]


def test_holes_of_a_raw_segment_in_the_file_are_no_data(tmp_path: Path):
    path = tmp_path / "dump"
    with path.open("wb") as file:
        file.write(header(8 * MIB, magic=EXTENDED, version=1) + raw_segment(MIB, bytes(4), LAST))
        file.seek(PAGE + 8)
        file.write(struct.pack(">Q", 4 * MIB))
        file.seek(2 * PAGE + 2 * MIB)
        file.write(b"x" * PAGE)
        file.seek(2 * PAGE + 4 * MIB)
        file.write(end_marker())
    with open_dump(path) as dump:
        assert (dump.incomplete, dump.missing) == (None, 0)
        assert (3 * MIB, 3 * MIB + PAGE) in list(dump.data_ranges())
        assert sum(end - start for start, end in dump.data_ranges()) < MIB


def test_an_entry_is_decompressed_only_when_asked_for():
    damaged = EXTENDED_DUMP.replace(
        compressed_segment(2 * MIB, ALL_KINDS[2], LAST, raw=[1])[PAGE : PAGE + 64], bytes(64)
    )
    dump = opened(damaged)
    assert dump.read(3 * MIB, MIB) == EXTENDED_MEMORY[3 * MIB : 4 * MIB]
    at = PAGE + PAGE + MIB + PAGE
    with pytest.raises(EvidenceError, match=rf"some\.dump: entry at offset {at:#x}"):
        dump.read(2 * MIB, 1)


def test_memory_that_is_all_zero_is_one_empty_segment():
    dump = opened(extended(4 * MIB, [raw_segment(0, b"", LAST)]))
    assert (dump.missing, dump.incomplete) == (0, None)
    assert dump.read(0, 4 * MIB) == bytes(4 * MIB)
    assert list(dump.data_ranges()) == []


SECOND = 2 * PAGE + MIB  # where the extended dump's second segment starts
INCOMPLETE = {
    "no marker": (PLAIN_DUMP[:-16], "no end marker (DUMP_END) at offset 0x41000", 0),
    "half a marker": (PLAIN_DUMP[:-1], "no end marker", 0),
    "overwritten": (PLAIN_DUMP[:-16] + bytes(16), "no end marker", 0),
    "an older dump's": (
        PLAIN_DUMP[:-16] + end_marker(TOD - 1),
        f"an older dump's: its tod {TOD - 1:#x} is before the header's {TOD:#x}",
        0,
    ),
    "memory missing": (PLAIN_DUMP[:-5016], "no end marker", 5000),
    "ext: no marker": (EXTENDED_DUMP[:-16], "no end marker", 0),
    "ext: an older dump's": (EXTENDED_DUMP[:-16] + end_marker(1), "an older dump's", 0),
    "ext: cut in a raw segment": (
        EXTENDED_DUMP[: 3 * PAGE],
        "no last segment (stop_marker)",
        len(EXTENDED_MEMORY) - PAGE,
    ),
    "ext: second segment missing": (
        EXTENDED_DUMP[: 2 * PAGE + MIB],
        f"no last segment (stop_marker): offset {2 * PAGE + MIB:#x}",
        len(EXTENDED_MEMORY) - MIB,
    ),
    "ext: the rest of the disk is older": (
        EXTENDED_DUMP[: 2 * PAGE + MIB] + random.Random(3).randbytes(MIB),
        "no last segment",
        len(EXTENDED_MEMORY) - MIB,
    ),
    "ext: cut behind an entry": (
        EXTENDED_DUMP[: 3 * PAGE + MIB + PAGE],
        "no end marker",
        len(EXTENDED_MEMORY) - 3 * MIB,
    ),
    "ext: segments not ascending": (
        EXTENDED_DUMP[:SECOND] + raw_segment(0, b"\xff" * MIB, LAST) + end_marker(),
        "no last segment",
        len(EXTENDED_MEMORY) - MIB,
    ),
    "ext: cut, and its entries damaged": (
        patched(EXTENDED_DUMP, SECOND + 0x34, b"\x7f\xff\xff\xff")[: SECOND + 2 * PAGE],
        "no end marker",
        len(EXTENDED_MEMORY) - 2 * MIB,
    ),
    "ext: nothing but the header": (
        EXTENDED_DUMP[:PAGE],
        "no last segment",
        len(EXTENDED_MEMORY),
    ),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_unfinished_dump_opens_and_says_what_is_missing(name: str):
    content, message, missing = INCOMPLETE[name]
    dump = opened(content)
    assert dump.incomplete is not None
    assert message in dump.incomplete
    assert dump.missing == missing
    expected = EXTENDED_MEMORY if name.startswith("ext") else MEMORY
    present = len(expected) - missing
    assert dump.read(0, present) == expected[:present]
    with pytest.raises(EvidenceError, match="has no memory"):
        dump.read(present, 1)


@pytest.mark.parametrize(("entries", "found"), [(1011, True), (1012, False)])
def test_segment_has_no_more_entries_than_its_header_has_room_for(entries: int, found: bool):
    size = entries * PAGE
    head = struct.pack(">3QI20xI", 0, size, LAST, entries, entries)
    offsets = struct.pack(f">{entries}I", *range(entries))
    segment = (head + offsets).ljust(PAGE, b"\0")[:PAGE] + bytes(size)
    dump = opened(extended(size, [segment], entry_size=PAGE))
    assert (dump.incomplete is None) == found


def changed_header(offset: int, data: bytes) -> bytes:
    return patched(PLAIN_DUMP, offset, data)


REFUSED = {
    "short": (PLAIN_DUMP[:4095], "truncated: s390 dump header"),
    "31 bit": (changed_header(0x48, b"\0\0\0\1"), "offset 0x48: arch is 1, not 2"),
    "odd header": (changed_header(0x0C, b"\0\0\0\1"), "offset 0xc: hdr_size is 1, not 4096"),
    "odd pages": (changed_header(0x14, b"\0\0\0\1"), "offset 0x14: page_size is 1"),
    "not from 0": (changed_header(0x20, b"\1"), "offset 0x20: mem_start is"),
    "too many CPUs": (changed_header(0x5D, b"\2\1"), "offset 0x5d: cpu_cnt is 513"),
    "entries of 3 bytes": (
        patched(EXTENDED_DUMP, 0x62, b"\0\0\0\3"),
        "offset 0x62: zlib_entry_size is 3",
    ),
    "entries of 4 GiB": (
        patched(EXTENDED_DUMP, 0x62, b"\xff\xff\xf0\0"),
        "4294963200 bytes in an entry (zlib_entry_size)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_headers_are_refused_with_file_and_place(name: str):
    content, message = REFUSED[name]
    with pytest.raises(EvidenceError) as caught:
        opened(content)
    assert caught.value.message.startswith(f"{NAME}: ")
    assert message in caught.value.message


@pytest.mark.parametrize("content", [PLAIN_DUMP, EXTENDED_DUMP], ids=["plain", "extended"])
def test_volumes_are_refused_with_what_to_do(content: bytes):
    with pytest.raises(EvidenceError, match="volume 0 of a dump on several") as caught:
        opened(patched(content, 0x5C, b"\1"))
    assert caught.value.hint is not None
    assert "zgetdump" in caught.value.hint


DAMAGED_ENTRIES = {
    "behind its segment": (0x34, struct.pack(">I", 1 << 20), "entry_offset says that entry 0"),
    "backwards": (0x38, struct.pack(">I", 0), "entry_offset says that entry 0"),
    "no zlib": (PAGE, b"\xff" * 16, "entry at offset"),
    "raw, but too short": (0x34, struct.pack(">I", 1 << 31), "raw entry at offset"),
}


@pytest.mark.parametrize("name", DAMAGED_ENTRIES)
def test_damaged_entry_is_named(name: str):
    at, data, message = DAMAGED_ENTRIES[name]
    dump = opened(patched(EXTENDED_DUMP, SECOND + at, data))
    with pytest.raises(EvidenceError, match=message):
        dump.read(2 * MIB, 1)


def test_entry_that_grows_beyond_its_size_is_not_unpacked():
    bomb = compressed_segment(0, bytes(64 * MIB), LAST, entry_size=64 * MIB)
    bomb = patched(bomb, 8, struct.pack(">Q", MIB))
    dump = opened(extended(MIB, [bomb]))
    tracemalloc.start()
    with pytest.raises(EvidenceError, match="is not 1048576 bytes, compressed"):
        dump.read(0, 1)
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()


CONTRADICTIONS = {
    "mem_end": (0x28, struct.pack(">Q", 0x1000), "mem_end is 0x1000, mem_size 0x40000"),
    "num_pages": (0x30, struct.pack(">I", 7), "num_pages is 0x7, mem_size 0x40000"),
    "lc_vec": (
        0x804,
        struct.pack(">I", 0x30000),
        "CPU 1: the prefix is 0x30000 in the header (lc_vec), 0x",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_header_that_contradicts_itself_is_told(name: str):
    at, data, message = CONTRADICTIONS[name]
    assert opened(PLAIN_DUMP).contradictions == ()
    (told,) = opened(changed_header(at, data)).contradictions
    assert told.startswith(message)


def test_unreadable_fields_are_no_contradiction():
    assert opened(patched(PLAIN_DUMP, 0x804, struct.pack(">I", 0x7FFF0000))).contradictions == ()


def test_cpu_whose_lowcore_is_missing_is_named():
    dump = opened(patched(PLAIN_DUMP, 0x804, struct.pack(">I", 0x7FFF0000)))
    message = r"CPU 1: no registers .* 0x7fff0000 at offset 0x804"
    with pytest.raises(EvidenceError, match=message) as caught:
        _ = dump.cpus
    assert caught.value.message.count(NAME) == 1


def test_vector_registers_outside_of_memory_are_none():
    at = PAGE + PREFIXES[0] + 0x11B0
    dump = opened(patched(PLAIN_DUMP, at, struct.pack(">Q", 1 << 40)))
    assert dump.cpus[0] == replace(CPUS[0], vxrs_low=None, vxrs_high=None)


def test_prefixes_are_in_the_header_since_version_5_only():
    assert opened(changed_header(8, struct.pack(">I", 4))).cpus == ()
    assert len(opened(EXTENDED_DUMP).cpus) == 2


def test_64_gib_sparse_dumps_open_at_once(tmp_path: Path):
    size, step = 64 << 30, 16 * MIB
    path = tmp_path / "plain"
    with path.open("wb") as file:
        file.write(header(size))
        file.seek(PAGE + size)
        file.write(end_marker())
    segments = tmp_path / "extended"
    with segments.open("wb") as file:
        file.write(header(size, magic=EXTENDED, version=1))
        for start in range(0, size, step):
            stop = LAST if start + step == size else 0
            file.write(struct.pack(">3Q", start, MIB, stop))
            file.seek(PAGE - 24 + MIB, 1)
        file.write(end_marker())
    for dumped in (path, segments):
        tracemalloc.start()
        started = time.process_time()
        with open_dump(dumped) as dump:
            assert (dump.incomplete, dump.missing, dump.cpus) == (None, 0, ())
            assert dump.read(size - 4, 4) == bytes(4)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
        tracemalloc.stop()
        assert time.process_time() - started < 3  # a tenth of that without tracemalloc


def read_all(content: bytes) -> str:
    """Read a dump like a front end; a refusal must name the file."""
    try:
        dump = opened(content)
        _ = dump.incomplete, dump.vmcoreinfo, dump.missing, dump.facts, dump.length
        for start, end in dump.data_ranges():
            dump.read(start, min(MIB, end - start))
        _ = dump.cpus
    except EvidenceError as error:
        return error.message
    return f"{NAME}: fine"


SMALL = memory()
SMALL_DUMPS = (
    PLAIN_DUMP,
    extended(
        3 * len(SMALL),
        [
            raw_segment(0, SMALL),
            compressed_segment(2 * len(SMALL), SMALL[:0x9000], LAST, entry_size=0x4000, raw=[1]),
        ],
        PREFIXES,
        entry_size=0x4000,
    ),
)
HEADERS = (  # of the plain dump, and of the extended one with each of its segments'
    (0, range(0x70)),
    (1, [*range(0x70), *range(PAGE, PAGE + 0x40), *range(0x42000, 0x42048)]),
)
places = st.sampled_from([(which, at) for which, ats in HEADERS for at in ats])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(places, st.binary(min_size=1, max_size=8), st.none() | st.integers(0, 0x50000))
def test_damaged_headers_raise_evidence_error_only(
    place: tuple[int, int], data: bytes, length: int | None
):
    which, at = place
    assert read_all(patched(SMALL_DUMPS[which], at, data)[:length]).startswith((f"{NAME}: ",))


@given(st.binary(max_size=300), st.sampled_from([PLAIN_DUMP[:8], EXTENDED_DUMP[:8]]))
def test_arbitrary_bytes_raise_evidence_error_only(content: bytes, magic: bytes):
    assert read_all(magic + content).startswith(f"{NAME}: ")
    assert read_all((magic + content).ljust(2 * PAGE, b"\0")).startswith(f"{NAME}: ")


def test_a_dump_that_was_limited_says_so_once():
    assert opened(PLAIN_DUMP).limited is None
    size = int.from_bytes(PLAIN_DUMP[0x18:0x20], "big")
    dump = opened(patched(PLAIN_DUMP, 0x54, struct.pack(">Q", 4 * size)))
    assert dump.limited == (size, 4 * size)
