"""What the dump tool writes as dump_format=s390, read back with struct alone."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dump.detect import open_dump
from harness.s390x.cpu import CpuState
from harness.s390x.storestatus import additional_status_area, status_area
from tests.support.cpus import make_cpu
from tests.support.evidence import cpu_notes, elf_note, stored
from tests.support.guests.dump_tool import PAGE, make_core, new_buffer, tool

MIB = 1 << 20
HSA = MIB
MEMORY = 6 * MIB
VECTORS = 0x30_0800  # where both lowcores point to, each with 1 KiB of its own
MCESAD, STATUS = 0x11B0, 0x1200


@dataclass(frozen=True)
class Read:
    """A dump, read by an independent reader."""

    header: dict[str, int]
    prefixes: tuple[int, ...]
    memory: bytes
    segments: tuple[tuple[int, int], ...]
    raw_entries: int
    size: int


def read_back(dump: bytes) -> Read:
    """Struct and zlib, by s390-tools include/dump/s390_dump.h."""
    names = [
        "magic",
        "version",
        "hdr_size",
        "dump_level",
        "page_size",
        "mem_size",
        "mem_start",
        "mem_end",
        "num_pages",
        "pad",
        "tod",
        "cpu_id",
        "arch",
        "volnr",
        "build_arch",
        "mem_size_real",
        "mvdump",
        "cpu_cnt",
        "real_cpu_cnt",
        "zlib_version",
        "zlib_entry_size",
    ]
    header = dict(zip(names, struct.unpack_from(">Q4I3Q2I2Q3IQB2HBI", dump), strict=True))
    prefixes = struct.unpack_from(f">{header['cpu_cnt']}I", dump, 0x800)
    if header["magic"] == 0xA8190173618F23FD:
        memory, at = dump[PAGE : PAGE + header["mem_size"]], PAGE + header["mem_size"]
        segments: tuple[tuple[int, int], ...] = ()
        raw = 0
    else:
        assert header["magic"] == 0xA8190173618F23FE
        memory, segments, raw, at = read_segments(dump, header["mem_size"])
    text, tod = struct.unpack_from(">8sQ", dump, at)
    assert text == b"DUMP_END"
    assert tod >= header["tod"]
    return Read(header, prefixes, memory, segments, raw, at + 16)


def read_segments(dump: bytes, size: int) -> tuple[bytes, tuple[tuple[int, int], ...], int, int]:
    memory, segments, raw, at, stop = bytearray(size), [], 0, PAGE, 0
    while not stop:
        start, length, stop, blocks, count = struct.unpack_from(">3QI20xI", dump, at)
        assert not segments or start >= sum(segments[-1])
        data = at + PAGE
        for number, entry in enumerate(struct.unpack_from(f">{count}I", dump, at + 0x34)):
            place = data + (entry & 0x7FFF_FFFF) * 512
            wanted = min(MIB, length - number * MIB)
            if entry >> 31:
                raw += 1
                content = dump[place : place + wanted]
            else:
                content = zlib.decompressobj().decompress(dump[place:], wanted + 1)
            assert len(content) == wanted
            memory[start + number * MIB : start + number * MIB + wanted] = content
        segments.append((start, length))
        at = data + blocks * 512
    return bytes(memory), tuple(segments), raw, at


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(tool.machine, "say", lambda text: None)


@pytest.fixture
def cpus() -> list[CpuState]:
    """One with its lowcore in the HSA, one outside; an additional status area for each."""
    return [replace(make_cpu(1), prefix=0x8000), replace(make_cpu(2), prefix=3 * MIB - 0x2000)]


def crashed(cpus: list[CpuState], size: int = MEMORY) -> bytearray:
    """Text where it compresses, noise where it does not, and a MiB of zeros."""
    memory = bytearray(b"some text " * (size // 10 + 1))[:size]
    memory[2 * MIB : 2 * MIB + MIB // 2] = bytes(MIB // 2)
    memory[3 * MIB : 4 * MIB] = random.Random(1).randbytes(MIB)
    memory[4 * MIB : 5 * MIB] = bytes(MIB)
    for number, cpu in enumerate(cpus):
        struct.pack_into(">Q", memory, cpu.prefix + MCESAD, VECTORS + number * 1024)
    return memory


def with_registers(memory: bytearray, cpus: list[CpuState]) -> bytes:
    """The memory that the dump must have; bytes that are no register are unchanged."""
    expected = bytearray(memory)
    for number, cpu in enumerate(cpus):
        area = status_area(cpu)
        for start, end in ((0, 0x110), (0x118, 0x120), (0x124, 0x138), (0x140, 0x200)):
            at = cpu.prefix + STATUS
            expected[at + start : at + end] = area[start:end]
        at = VECTORS + number * 1024
        expected[at : at + 512] = additional_status_area(cpu)
    return bytes(expected)


def core_of(
    path: Path,
    memory: bytes,
    cpus: list[CpuState],
    loads: list[tuple[int, int]] | None = None,
    **notes: bool,
) -> Path:
    data = b"".join(cpu_notes(stored(cpu), **notes) for cpu in cpus)
    data = elf_note(b"CORE", 3, bytes(136)) + data + elf_note(b"VMCOREINFO", 0, b"OSRELEASE=6.12")
    # the kernel's image a second time, as since Linux 6.10
    loads = [(PAGE * 4, PAGE * 8), (0, len(memory))] if loads is None else loads
    core = make_core(loads, lambda address, size: memory[address : address + size], data)
    path.write_bytes(core)
    return path


def write(target: Path, form, buffer: int = 256 << 10, hsa: int = HSA, sector: int = 512) -> bytes:
    tool.filesystem.write_file(str(target), form, new_buffer(buffer), hsa, "auto", sector)
    return target.read_bytes()


FORMS = {"plain": tool.StandAlone, "compressed": tool.Compressed}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("buffer", [16 * PAGE, MIB], ids=["small buffer", "large buffer"])
def test_memory_and_registers_come_back(tmp_path, monkeypatch, cpus, form, buffer):
    monkeypatch.setattr(tool.standalone, "cpu_id", lambda: 0xFF12345689610000)
    memory = crashed(cpus)
    core = tool.Core(str(core_of(tmp_path / "vmcore", memory, cpus)))
    dump = write(tmp_path / "dump.0", form(core), buffer)
    read = read_back(dump)
    assert read.memory == with_registers(memory, cpus)
    assert read.prefixes == tuple(cpu.prefix for cpu in cpus)
    assert len(dump) == -(-read.size // 512) * 512  # the end marker is in a whole sector
    with open_dump(tmp_path / "dump.0") as opened:
        assert opened.cpus == tuple(stored(cpu) for cpu in cpus)
        assert (opened.incomplete, opened.length) == (None, len(dump))
    compressed = form is tool.Compressed
    assert read.header == {
        **read.header,
        "version": 2 if compressed else 5,
        "zlib_version": int(compressed),
        "zlib_entry_size": MIB * compressed,
        "hdr_size": PAGE,
        "page_size": PAGE,
        "dump_level": 4,
        "arch": 2,
        "build_arch": 2,
        "mem_size": MEMORY,
        "mem_start": 0,
        "mem_end": MEMORY,
        "mem_size_real": MEMORY,
        "num_pages": MEMORY // PAGE,
        "cpu_id": 0xFF12345689610000,
        "real_cpu_cnt": 2,
        "volnr": 0,
        "mvdump": 0,
        "pad": 0,
    }


def test_compressed_zeros_end_a_segment_and_noise_stays_raw(tmp_path, cpus):
    core = tool.Core(str(core_of(tmp_path / "vmcore", crashed(cpus), cpus)))
    dump = write(tmp_path / "dump.0", tool.Compressed(core))
    read = read_back(dump)
    assert read.segments == ((0, 4 * MIB), (5 * MIB, MIB))
    assert read.raw_entries == 1
    assert len(dump) < 1.5 * MIB


def test_plain_zeros_are_holes(tmp_path, cpus):
    core = tool.Core(str(core_of(tmp_path / "vmcore", crashed(cpus), cpus)))
    target = tmp_path / "dump.0"
    write(target, tool.StandAlone(core))
    assert target.stat().st_blocks * 512 <= target.stat().st_size - MIB


def test_an_hsa_that_ends_within_a_mib_ends_a_segment(tmp_path, cpus):
    memory = crashed(cpus)
    core = tool.Core(str(core_of(tmp_path / "vmcore", memory, cpus)))
    read = read_back(write(tmp_path / "dump.0", tool.Compressed(core), hsa=MIB + 5 * PAGE))
    assert read.segments[0] == (0, MIB + 5 * PAGE)
    assert read.memory == with_registers(memory, cpus)


def test_a_segment_has_no_more_entries_than_its_header_has_room_for(tmp_path, monkeypatch, cpus):
    assert tool.standalone.ENTRY_LIMIT == 1011
    monkeypatch.setattr(tool.standalone, "ENTRY_LIMIT", 3)
    memory = crashed(cpus)
    core = tool.Core(str(core_of(tmp_path / "vmcore", memory, cpus)))
    read = read_back(write(tmp_path / "dump.0", tool.Compressed(core)))
    assert read.segments == ((0, 3 * MIB), (3 * MIB, MIB), (5 * MIB, MIB))
    assert read.memory == with_registers(memory, cpus)


@pytest.mark.parametrize("block", [512, 1024, 2048, 4096])
def test_the_harness_finds_out_the_size_of_a_block(tmp_path, cpus, block):
    memory = crashed(cpus)
    core = tool.Core(str(core_of(tmp_path / "vmcore", memory, cpus)))
    write(tmp_path / "dump.0", tool.Compressed(core), sector=block)
    with open_dump(tmp_path / "dump.0") as opened:
        assert opened.incomplete is None
        assert opened.read(0, MEMORY) == with_registers(memory, cpus)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_direct_writes_are_whole_sectors(tmp_path, monkeypatch, cpus, form, sector):
    """Linux refuses others (EINVAL) where a sector has 4096 bytes; the page cache takes them."""
    core = tool.Core(str(core_of(tmp_path / "vmcore", crashed(cpus), cpus)))
    (tmp_path / "disk").touch()
    writer = tool.output.Writer(str(tmp_path / "disk"), sector=sector)
    pwrite, direct = os.pwrite, []

    def recording(fd, data, offset):
        if fd == writer.direct_fd != writer.fd:
            direct.append((offset, len(data)))
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", recording)
    tool.output.copy(form(core), writer, new_buffer(16 * PAGE), HSA)
    assert direct
    assert not any(value % sector for write in direct for value in write)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_gaps_in_memory_are_zeros(tmp_path, form):
    memory = random.Random(2).randbytes(4 * MIB)
    loads = [(MIB, MIB), (3 * MIB, MIB)]
    core = tool.Core(str(core_of(tmp_path / "vmcore", memory, [], loads)))
    disk = tmp_path / "disk"
    disk.write_bytes(b"\x55" * 8 * MIB)  # what an earlier dump left
    tool.output.copy(form(core), tool.output.Writer(str(disk)), new_buffer(16 * PAGE), HSA)
    read = read_back(disk.read_bytes())
    expected = bytearray(4 * MIB)
    for start, size in loads:
        expected[start : start + size] = memory[start : start + size]
    assert read.memory == expected


@pytest.mark.parametrize(
    ("count", "may_map", "file", "read_all"),
    [
        (1, True, True, True),
        (2, True, True, False),
        (2, False, True, True),
        (2, True, False, True),
    ],
    ids=["one", "several", "dump_map=never", "no room"],
)
@pytest.mark.parametrize("form", [tool.Elf, *FORMS.values()], ids=["elf", *FORMS])
def test_with_several_cpus_memory_is_mapped_behind_the_hsa(
    tmp_path, monkeypatch, cpus, form, count, may_map, file, read_all
):
    source = core_of(tmp_path / "vmcore", crashed(cpus), cpus[:count])
    monkeypatch.setattr(tool.standalone, "tod", lambda: 1)
    expected = write(tmp_path / "dump.0", form(tool.Core(str(source))), hsa=MEMORY)
    core = tool.Core(str(source))
    core.may_map = may_map
    preadv, read = os.preadv, []
    released: list[int] = []

    def recording(fd, views, offset):
        read.append(offset)
        return preadv(fd, views, offset)

    monkeypatch.setattr(os, "preadv", recording)
    monkeypatch.setattr(tool.machine, "release_hsa", lambda: released.append(len(read)))
    buffer = new_buffer(256 << 10)
    if not file:
        buffer.fd = None
    tool.filesystem.write_file(str(tmp_path / "dump.1"), form(core), buffer, HSA, "auto")
    assert (tmp_path / "dump.1").read_bytes() == expected
    assert released[0]
    assert (len(read) > released[0]) is read_all


def test_wrong_notes_are_no_reason_to_write_no_dump(tmp_path, cpus):
    source = core_of(tmp_path / "vmcore", crashed(cpus), cpus)
    content = bytearray(source.read_bytes())
    core = tool.Core(str(source))
    assert core.has_several_cpus()
    (offset, _) = core.notes[0]
    struct.pack_into(">I", content, offset + 4, 0xFFFFFFF0)  # the size of the first descriptor
    source.write_bytes(content)
    assert not tool.Core(str(source)).has_several_cpus()
    dump = write(tmp_path / "dump.0", tool.Elf(tool.Core(str(source))))
    assert dump == bytes(content)


def test_memory_of_zeros_makes_one_empty_segment(tmp_path):
    core = tool.Core(str(core_of(tmp_path / "vmcore", bytes(2 * MIB), [])))
    read = read_back(write(tmp_path / "dump.0", tool.Compressed(core)))
    assert read.segments == ((0, 0),)
    assert read.memory == bytes(2 * MIB)


@pytest.mark.parametrize(
    "address",
    [0, VECTORS + 512, VECTORS + 11, MEMORY, 1 << 60],
    ids=["none", "unaligned", "with a size", "behind memory", "nowhere"],
)
def test_an_invalid_additional_status_area_is_ignored(tmp_path, cpus, address):
    cpu, memory = cpus[0], crashed([])
    struct.pack_into(">Q", memory, cpu.prefix + MCESAD, address)
    core = tool.Core(str(core_of(tmp_path / "vmcore", memory, [cpu])))
    read = read_back(write(tmp_path / "dump.0", tool.StandAlone(core)))
    assert read.memory[VECTORS:] == memory[VECTORS:]
    at = cpu.prefix + STATUS
    assert read.memory[at : at + 0x110] == status_area(cpu)[:0x110]


def test_a_machine_without_vector_registers_stores_none(tmp_path, cpus):
    memory = crashed(cpus)
    core = tool.Core(str(core_of(tmp_path / "vmcore", memory, cpus, vector=False)))
    read = read_back(write(tmp_path / "dump.0", tool.StandAlone(core)))
    assert read.memory[VECTORS:] == memory[VECTORS:]


def test_a_limit_leaves_out_the_lowcores_behind_it(tmp_path, cpus):
    memory = crashed(cpus)
    source = core_of(tmp_path / "vmcore", memory, cpus)
    core = tool.Core(str(source), limit=cpus[1].prefix + PAGE)
    read = read_back(write(tmp_path / "dump.0", tool.StandAlone(core)))
    assert read.header["mem_size"] == cpus[1].prefix + PAGE
    assert read.header["mem_size_real"] == MEMORY
    assert read.prefixes == tuple(cpu.prefix for cpu in cpus)
    assert read.memory[cpus[1].prefix :] == memory[cpus[1].prefix :][:PAGE]


def test_more_cpus_than_the_header_has_room_for_are_refused(tmp_path, cpus):
    core = tool.Core(str(core_of(tmp_path / "vmcore", bytes(MIB), cpus[:1] * 513)))
    with pytest.raises(tool.DumpError, match="512 CPUs"):
        tool.StandAlone(core)


def test_compressed_elf_is_refused(monkeypatch):
    monkeypatch.setattr(tool.machine, "source", lambda: tool.machine.VMCORE)
    monkeypatch.setattr(tool.machine, "available_memory", lambda: pytest.fail("went on"))
    with pytest.raises(tool.DumpError, match="dump_compress=gzip is not possible with dump_format"):
        tool.dump(tool.Parameters("dump_compress=gzip"))


def test_a_partition_that_turns_out_to_be_too_small_is_not_overrun(tmp_path, cpus):
    core = tool.Core(str(core_of(tmp_path / "vmcore", crashed(cpus), cpus)))
    disk = tmp_path / "disk"
    disk.write_bytes(b"\x55" * 2 * MIB)
    writer = tool.output.Writer(str(disk), base=PAGE, room=MIB)
    with pytest.raises(tool.DumpError, match="Disk too small"):
        tool.output.copy(tool.Compressed(core), writer, new_buffer(16 * PAGE), HSA)
    content = disk.read_bytes()
    assert content[PAGE + MIB :] == b"\x55" * (MIB - PAGE)
    assert content[PAGE : 2 * PAGE] == b"\x55" * PAGE, "the header comes last"


def test_the_cpu_id_is_what_store_cpu_id_gives(monkeypatch):
    lines = (
        "vendor_id       : IBM/S390",
        "# processors    : 1",
        "processor 0: version = FF,  identification = 1A2B3C,  machine = 8561",
        "cpu number      : 0",
    )
    monkeypatch.setattr(tool.machine, "read_text", lambda path: "\n".join(lines))
    assert tool.machine.cpu_id() == 0xFF1A2B3C_85610000
    monkeypatch.setattr(tool.machine, "read_text", lambda path: "")
    assert tool.machine.cpu_id() == 0


areas = st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=40)), max_size=6).map(
    dict
)


@given(areas, st.integers(0, 40), st.integers(1, 40))
def test_any_view_gets_its_part_of_the_registers(found, start, size):
    registers = object.__new__(tool.registers.Registers)
    registers.areas = sorted(disjoint(found))
    registers.longest = max((len(content) for _, content in registers.areas), default=0)
    whole = bytearray(120)
    for at, content in registers.areas:
        whole[at : at + len(content)] = content
    view = bytearray(size)
    registers.store(memoryview(view), start)
    assert view == whole[start : start + size]


def disjoint(found: dict[int, bytes]) -> Iterator[tuple[int, bytes]]:
    end = 0
    for at, content in sorted(found.items()):
        if at >= end:
            yield at, content
            end = at + len(content)


pages = st.integers(0, 24).map(lambda number: number * PAGE)


@settings(max_examples=40, deadline=None)
@given(
    loads=st.lists(st.tuples(pages, pages), min_size=1, max_size=4),
    hsa=pages,
    compressed=st.booleans(),
    seed=st.integers(0, 3),
)
def test_any_memory_map_comes_back(tmp_path_factory, loads, hsa, compressed, seed):
    directory = tmp_path_factory.mktemp("any")
    memory = bytearray(random.Random(seed).randbytes(48 * PAGE))
    memory[8 * PAGE : 20 * PAGE] = bytes(12 * PAGE)
    core = tool.Core(str(core_of(directory / "vmcore", bytes(memory), [], loads)))
    form = tool.Compressed(core) if compressed else tool.StandAlone(core)
    expected = bytearray(max((at + size for at, size in loads if size), default=0))
    for at, size in loads:
        expected[at : at + size] = memory[at : at + size]
    read = read_back(write(directory / "dump.0", form, 4 * PAGE, hsa))
    assert read.memory == expected
