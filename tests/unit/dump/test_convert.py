"""Every reader against every writer; the converted dumps are made with struct."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dump.convert import convert
from harness.dump.detect import open_dump, read_dump
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.formats.s390 import writer as s390_writer
from harness.dump.formats.s390.c_s390 import DUMP_SEGM_ZLIB_MAXENTS
from harness.dump.formats.s390.reader import S390Dump
from harness.dump.formats.table import writers
from harness.errors import EvidenceError, HostError, UsageError
from harness.limits import multiplied
from harness.progress import NoProgress
from harness.s390x.cpu import CpuState
from tests.support.cpus import make_cpu
from tests.support.dumps import s390 as raw
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import Load, stored, vmcore

PAGE, MIB = 4096, 1 << 20
SIZE = 4 * MIB
NOTE_AT = 0x8000
LOWCORES = (0x10000, 0x14000, 0x200000, 3 * MIB - 0x2000)
VECTORS = (0x20000, 0x20400, 0x20800, 0x3FFC00)
NO_VECTORS = {"vxrs_low": None, "vxrs_high": None}


@contextmanager
def directory() -> Iterator[Path]:
    """A new directory for each example of hypothesis, unlike tmp_path."""
    with TemporaryDirectory() as name:
        yield Path(name)


@dataclass(frozen=True)
class Machine:
    """The content that a dump must keep."""

    memory: bytes = field(repr=False)
    cpus: tuple[CpuState, ...]


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Memory with VMCOREINFO and some registers of the CPUs; all lowcores differ."""
    memory = bytearray(SIZE)
    for number in draw(st.sets(st.integers(0, SIZE // PAGE - 1), max_size=20)):
        memory[number * PAGE : (number + 1) * PAGE] = random.Random(number).randbytes(PAGE)
    cpus = []
    seeds = draw(st.lists(st.integers(1, 1 << 64), max_size=4))
    for lowcore, vectors, seed in zip(LOWCORES, VECTORS, seeds, strict=False):
        cpu = replace(stored(make_cpu(seed)), prefix=lowcore)
        memory[lowcore + 0x11B0 : lowcore + 0x11B8] = bytes(8)
        kept = draw(st.sampled_from(["nothing", "all", "no vectors", "all but vectors"]))
        if kept in ("all", "all but vectors"):
            raw.store(memory, cpu, vectors)
        if kept == "no vectors":
            raw.store(memory, cpu)
        if kept == "all but vectors":
            memory[vectors : vectors + 512] = b"\xff" * 512
        if kept in ("nothing", "no vectors"):
            cpu = replace(cpu, **NO_VECTORS)
        cpus.append(cpu)
    raw.vmcoreinfo(memory, NOTE_AT)
    return Machine(bytes(memory), tuple(cpus))


def as_elf(memory: bytes, cpus: tuple[CpuState, ...]) -> bytes:
    loads = (Load(0x100000, 0x20000, 0x3FFE0000000), Load(0, len(memory), 0))
    return vmcore(memory, cpus, vmcoreinfo=raw.VMCOREINFO, loads=loads)


def status_pages(cpus: tuple[CpuState, ...]) -> set[int]:
    """Pages in which a converted dump has registers."""
    own = {cpu.prefix + 0x1000 for cpu in cpus}
    return own | {at & -PAGE for at, _ in zip(VECTORS, cpus, strict=False)}


def differing(one: bytes, other: bytes) -> set[int]:
    """Addresses of the pages that differ."""
    assert len(one) == len(other)
    ends = range(0, len(one), PAGE)
    return {at for at in ends if one[at : at + PAGE] != other[at : at + PAGE]}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def converted(source: Path, target: Path, form: str) -> Path:
    with open_dump(source) as dump:
        convert(dump, target, form, NoProgress())
    return target


@settings(deadline=None, max_examples=25)
@given(machines(), st.lists(st.sampled_from(sorted(writers())), min_size=1, max_size=4))
def test_memory_registers_and_vmcoreinfo_stay_through_any_chain(machine: Machine, chain: list[str]):
    memory, cpus = machine.memory, machine.cpus
    with directory() as work:
        path = work / "source"
        path.write_bytes(as_elf(memory, cpus))
        previous = None
        for number, form in enumerate(chain):
            path = converted(path, work / str(number), form)
            with open_dump(path) as dump:
                assert dump.format == form
                assert (dump.incomplete, dump.missing) == (None, 0)
                assert dump.cpus == cpus
                assert dump.vmcoreinfo == raw.VMCOREINFO
                assert dump.memory_map == ((0, SIZE),)
                assert dump.length == path.stat().st_size
                now = dump.read(0, SIZE)
            changed = differing(memory, now)
            assert changed <= status_pages(cpus)
            if form == "elf" and previous is None:
                assert changed == set()
            if previous is not None:
                assert differing(previous, now) == set()
            if form != "elf" or previous is not None:
                previous = now


@settings(deadline=None, max_examples=15)
@given(machines(), st.sampled_from(sorted(writers())), st.sampled_from(sorted(writers())))
def test_second_writing_is_the_same_bytes(machine: Machine, first: str, second: str):
    with directory() as work:
        (work / "source").write_bytes(as_elf(machine.memory, machine.cpus))
        assert digest(converted(work / "source", work / "a", first)) == digest(
            converted(work / "source", work / "b", first)
        )
        # from here on registers are in memory, which is one segment
        start = converted(work / "source", work / "start", "s390")
        once = converted(start, work / "once", first)
        there = converted(once, work / "there", second)
        assert digest(converted(there, work / "back", first)) == digest(once)


@settings(deadline=None, max_examples=15)
@given(machines(), st.sampled_from(["s390", "s390_ext"]))
def test_header_of_a_stand_alone_dump_is_taken_over(machine: Machine, form: str):
    memory, cpus = machine.memory, machine.cpus
    data = bytearray(memory)
    for cpu in cpus:
        raw.store(data, cpu)
    with directory() as work:
        (work / "source").write_bytes(raw.plain(bytes(data), [cpu.prefix for cpu in cpus]))
        with open_dump(converted(work / "source", work / "target", form)) as dump:
            assert isinstance(dump, S390Dump)
            assert differing(dump.read(0, SIZE), bytes(data)) == set()
            header = dump.header
            assert (header.tod, dump.end_tod) == (raw.TOD, raw.END_TOD)
            assert header.cpu_id == 0xFF00_1234_8561_8000
            assert (header.cpu_cnt, header.real_cpu_cnt) == (len(cpus), len(cpus) + 1)


def test_plain_dump_is_written_to_the_byte(tmp_path: Path):
    memory = bytearray(random.Random(1).randbytes(0x40000))
    cpu = stored(make_cpu(1))
    raw.store(memory, cpu, 0x30000)
    source = raw.plain(bytes(memory), [cpu.prefix])
    (tmp_path / "source").write_bytes(source)
    whole_sectors = source + bytes(512 - 16)
    assert converted(tmp_path / "source", tmp_path / "target", "s390").read_bytes() == whole_sectors


@pytest.mark.parametrize("form", ["s390", "s390_ext"])
def test_a_block_device_has_the_end_marker_of_a_converted_dump(tmp_path: Path, form: str):
    (tmp_path / "source").write_bytes(raw.plain(bytes(range(256)) * 16))
    target = converted(tmp_path / "source", tmp_path / "target", form)
    data = target.read_bytes()
    target.write_bytes(data[: len(data) // 512 * 512])  # as a loop device has it
    with open_dump(target) as dump:
        assert (dump.incomplete, dump.length) == (None, len(data))


def test_extended_dump_leaves_out_zeros_and_compresses(tmp_path: Path):
    memory = bytearray(8 * MIB)
    memory[MIB : MIB + 4] = b"text"
    memory[2 * MIB : 3 * MIB] = random.Random(1).randbytes(MIB)
    (tmp_path / "source").write_bytes(raw.plain(bytes(memory)))
    target = converted(tmp_path / "source", tmp_path / "target", "s390_ext")
    headers, compressed, incompressible, marker = 2 * PAGE, 4 * PAGE, MIB, 16
    assert 0 < target.stat().st_size - headers - incompressible - marker <= compressed
    with open_dump(target) as dump:
        assert list(dump.data_ranges()) == [(MIB, 3 * MIB)]


def test_segment_of_an_extended_dump_ends_where_its_header_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert DUMP_SEGM_ZLIB_MAXENTS == (PAGE - 0x34) // 4
    monkeypatch.setattr(s390_writer, "DUMP_SEGM_ZLIB_MAXENTS", 3)  # more would take seconds
    memory = b"".join(bytes([number]) * MIB for number in range(1, 8))
    (tmp_path / "source").write_bytes(raw.plain(memory))
    with open_dump(converted(tmp_path / "source", tmp_path / "target", "s390_ext")) as dump:
        assert (dump.missing, dump.incomplete) == (0, None)
        assert list(dump.data_ranges()) == [
            (0, 3 * MIB),
            (3 * MIB, 6 * MIB),
            (6 * MIB, 7 * MIB),
        ]
        same = dump.read(0, 7 * MIB) == memory
        assert same


def test_elf_keeps_segments_and_pyelftools_reads_it(tmp_path: Path):
    memory = random.Random(1).randbytes(0x140000)
    cpus = (stored(make_cpu(1)), stored(make_cpu(2)))
    (tmp_path / "source").write_bytes(as_elf(memory, cpus))
    target = converted(tmp_path / "source", tmp_path / "target", "elf")
    with ElfDump.open(target) as dump, ElfDump.open(tmp_path / "source") as source:
        assert [(s.paddr, s.vaddr, s.size) for s in dump.segments] == [
            (s.paddr, s.vaddr, s.size) for s in source.segments
        ]
        # the PID apart, all notes are those of /proc/vmcore, in its order
        assert [(n.name, n.type, len(n.desc)) for n in dump.notes] == [
            (n.name, n.type, len(n.desc)) for n in source.notes
        ]
    with target.open("rb") as file:
        loads = [segment.header for segment in ELFFile(file).iter_segments("PT_LOAD")]
    assert {load.p_offset % PAGE for load in loads} == {0}


@pytest.mark.parametrize("form", writers())
def test_zero_pages_are_holes(tmp_path: Path, form: str):
    memory = bytearray(64 * MIB)
    raw.vmcoreinfo(memory, NOTE_AT)
    (tmp_path / "source").write_bytes(raw.plain(bytes(memory)))
    target = converted(tmp_path / "source", tmp_path / "target", form)
    assert target.stat().st_blocks * 512 < MIB


def test_gap_in_memory_becomes_zeros_in_a_stand_alone_dump(tmp_path: Path):
    memory = random.Random(1).randbytes(0x40000)
    loads = (Load(0, 0x10000, 0), Load(0x30000, 0x10000, 0))
    (tmp_path / "source").write_bytes(vmcore(memory, [], loads=loads))
    for form in ("s390", "s390_ext"):
        with open_dump(converted(tmp_path / "source", tmp_path / form, form)) as dump:
            assert dump.read(0, 0x40000) == memory[:0x10000] + bytes(0x20000) + memory[0x30000:]


def test_bytes_of_no_register_stay_what_they_were(tmp_path: Path):
    cpu = stored(make_cpu(1))
    area = cpu.prefix + 0x1200
    memory = bytearray(MIB)
    memory[area : area + 512] = b"\xa5" * 512
    (tmp_path / "source").write_bytes(as_elf(bytes(memory), (replace(cpu, **NO_VECTORS),)))
    with open_dump(converted(tmp_path / "source", tmp_path / "target", "s390")) as dump:
        for gap, size in ((0x110, 8), (0x120, 4), (0x138, 8)):
            assert dump.read(area + gap, size) == b"\xa5" * size


def test_segments_of_odd_sizes_are_aligned_in_elf(tmp_path: Path):
    memory = random.Random(1).randbytes(0x8000)
    loads = (Load(0, 0x1100, 0), Load(0x4000, 0x2100, 0))
    (tmp_path / "source").write_bytes(vmcore(memory, [], loads=loads))
    with ElfDump.open(converted(tmp_path / "source", tmp_path / "target", "elf")) as dump:
        assert [load.offset % PAGE for load in dump.layout.loads] == [0, 0]
        assert [load.size for load in dump.layout.loads] == [0x1100, 0x2100]
        assert dump.read(0, 0x1100) == memory[:0x1100]
        assert dump.read(0x4000, 0x2100) == memory[0x4000:0x6100]


def test_cpus_never_started_are_left_out_and_counted(tmp_path: Path):
    cpus = (stored(make_cpu(1)), replace(stored(make_cpu(2)), prefix=0))
    (tmp_path / "source").write_bytes(as_elf(bytes(MIB), cpus))
    with open_dump(converted(tmp_path / "source", tmp_path / "target", "s390")) as dump:
        assert [cpu.prefix for cpu in dump.cpus] == [cpus[0].prefix]
        assert dump.facts["real_cpu_cnt"] == 2


def with_cpus(*cpus: CpuState) -> bytes:
    return as_elf(bytes(MIB), cpus)


CPU = stored(make_cpu(1))
UNKEEPABLE = {
    "beyond": (replace(CPU, prefix=0x7FFF0000), "CPU 0: registers would be kept in the lowcore"),
    "odd": (replace(CPU, prefix=0x8123), "CPU 0: prefix 0x8123 is no address"),
}


@pytest.mark.parametrize("name", UNKEEPABLE)
@pytest.mark.parametrize("form", ["s390", "s390_ext"])
def test_registers_without_a_place_are_an_error(tmp_path: Path, name: str, form: str):
    cpu, message = UNKEEPABLE[name]
    with pytest.raises(EvidenceError, match=message):
        convert(read_dump(Memory(with_cpus(cpu), "x")), tmp_path / "t", form, NoProgress())
    assert list(tmp_path.iterdir()) == []


def test_two_cpus_in_one_lowcore_are_an_error(tmp_path: Path):
    content = with_cpus(CPU, replace(stored(make_cpu(2)), prefix=CPU.prefix))
    with pytest.raises(EvidenceError, match="CPU 0: another CPU's registers"):
        convert(read_dump(Memory(content, "x")), tmp_path / "t", "s390", NoProgress())


def test_more_cpus_than_the_header_has_room_for_are_an_error(tmp_path: Path):
    cpus = [replace(CPU, prefix=0x2000 * (number + 1)) for number in range(513)]
    content = as_elf(bytes(12 * MIB), tuple(cpus))
    message = "513 CPUs, an s390 dump has room for 512"
    with multiplied(2), pytest.raises(EvidenceError, match=message):
        convert(read_dump(Memory(content, "x")), tmp_path / "t", "s390", NoProgress())


def test_unknown_form_and_existing_target_are_usage_errors(tmp_path: Path):
    dump = read_dump(Memory(with_cpus(CPU), "x"))
    with pytest.raises(UsageError, match="'vmdump' to write; there are elf, s390, s390_ext"):
        convert(dump, tmp_path / "t", "vmdump", NoProgress())
    target = tmp_path / "t"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        convert(dump, target, "elf", NoProgress())
    assert target.read_text() == "precious"
    target.unlink()
    target.symlink_to(tmp_path / "nothing")
    with pytest.raises(UsageError, match="exists already"):
        convert(dump, target, "elf", NoProgress())


INCOMPLETE: dict[str, tuple[bytes, str]] = {
    "truncated": (with_cpus(CPU)[:-5000], "5000 bytes of memory are missing"),
    "no end": (raw.plain(bytes(MIB))[:-16], "no end marker"),
}


@pytest.mark.parametrize("name", INCOMPLETE)
@pytest.mark.parametrize("form", writers())
def test_incomplete_dump_is_refused(tmp_path: Path, name: str, form: str):
    content, message = INCOMPLETE[name]
    with pytest.raises(EvidenceError, match=message):
        convert(read_dump(Memory(content, "x")), tmp_path / "t", form, NoProgress())
    assert list(tmp_path.iterdir()) == []


def damaged_entry() -> bytes:
    segment = bytearray(raw.compressed_segment(0, b"text" * (MIB // 4), raw.LAST))
    segment[PAGE : PAGE + 16] = bytes(16)
    return raw.extended(MIB, [bytes(segment)])


@pytest.mark.parametrize("form", writers())
def test_target_is_removed_when_reading_fails(tmp_path: Path, form: str):
    dump = read_dump(Memory(damaged_entry(), "x"))
    with pytest.raises(EvidenceError, match="x: entry at offset"):
        convert(dump, tmp_path / "t", form, NoProgress())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", writers())
def test_target_that_cannot_be_written_is_a_host_error(tmp_path: Path, form: str):
    dump = read_dump(Memory(with_cpus(CPU), "x"))
    with pytest.raises(HostError, match="cannot be written"):
        convert(dump, tmp_path / "none" / "t", form, NoProgress())


class Seen(NoProgress):
    """A progress that records its calls."""

    def __init__(self) -> None:
        self.done: list[float] = []
        self.total: float | None = None

    @contextmanager
    def task(self, what, total=None, unit=""):
        self.total = total
        yield self

    def update(self, done, note=""):
        self.done.append(done)


@pytest.mark.parametrize("form", writers())
def test_progress_rises_to_its_total(tmp_path: Path, form: str):
    dump = read_dump(Memory(raw.plain(random.Random(1).randbytes(3 * MIB)), "x"))
    seen = Seen()
    convert(dump, tmp_path / "t", form, seen)
    assert seen.total == seen.done[-1] == 3 * MIB
    assert len(seen.done) > 2
    assert all(one <= other for one, other in pairwise(seen.done))


@pytest.mark.parametrize("form", writers())
def test_interrupt_leaves_nothing_behind(tmp_path: Path, form: str):
    class Interrupted(Seen):
        def update(self, done, note=""):
            raise KeyboardInterrupt

    dump = read_dump(Memory(raw.plain(random.Random(1).randbytes(MIB)), "x"))
    with pytest.raises(KeyboardInterrupt):
        convert(dump, tmp_path / "t", form, Interrupted())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("chain", [[*writers()], [*writers()][::-1]])
def test_a_limited_dump_stays_limited_through_any_chain(tmp_path: Path, chain: list[str]):
    content = bytearray(raw.plain(bytes(SIZE)))
    content[0x54:0x5C] = (4 * SIZE).to_bytes(8, "big")  # mem_size_real
    source = tmp_path / "limited"
    source.write_bytes(content)
    for number, form in enumerate(chain):
        with open_dump(source) as dump:
            assert dump.limited == (SIZE, 4 * SIZE)
            source = tmp_path / f"{number}.{form}"
            convert(dump, source, form, NoProgress())
    with open_dump(source) as dump:
        assert dump.limited == (SIZE, 4 * SIZE)
        assert dump.memory_map == ((0, SIZE),)
