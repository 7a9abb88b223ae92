from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.convert import convert
from harness.dump.describe import describe
from harness.dump.detect import open_dump
from harness.dump.formats.elf.notes import parse_notes
from harness.dump.formats.elf.reader import ElfDump, parse_layout
from harness.dump.formats.elf.reader import Load as ElfLoad
from harness.errors import EvidenceError, HostError, UsageError
from harness.inspect.check import complete
from harness.inspect.compare import compare
from harness.progress import NoProgress
from harness.s390x.cpu import CpuState
from tests.support.cpus import make_cpu
from tests.support.dumps import s390
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import VMCOREINFO, Load, crashed_memory, elf_note, vmcore
from tests.support.strategies import cpu_states

CPUS = [make_cpu(1), make_cpu(2)]
MEMORY = bytes(range(256)) * 64  # 16 KiB
LOADS = (Load(0x1000, 0x1000, 0x3FFE0000000), Load(0, 0x4000, 0))
VMCORE = vmcore(MEMORY, CPUS, loads=LOADS)
NAME = "some.elf"


def written(directory: Path, content: bytes) -> Path:
    path = directory / "dump.elf"
    path.write_bytes(content)
    return path


def patched(offset: int, content: bytes) -> bytes:
    return VMCORE[:offset] + content + VMCORE[offset + len(content) :]


def test_everything_in_a_vmcore_is_found(tmp_path: Path):
    with ElfDump.open(written(tmp_path, VMCORE)) as dump:
        assert dump.cpus == tuple(CPUS)
        assert dump.vmcoreinfo == VMCOREINFO
        assert dump.missing == 0
        assert [(s.paddr, s.vaddr, s.size) for s in dump.segments] == [
            (0x1000, 0x3FFE0000000, 0x1000),
            (0, 0, 0x4000),
        ]
        for segment in dump.segments:
            assert segment.read(segment.paddr, segment.size) == MEMORY[segment.paddr : segment.end]
        assert dump.read(0, 0x4000) == MEMORY
        assert dump.memory_map == ((0, 0x4000),)


@given(st.lists(cpu_states, max_size=3), st.none() | st.binary(max_size=50))
def test_pyelftools_reads_the_same(cpus: list[CpuState], vmcoreinfo: bytes | None):
    content = vmcore(MEMORY, cpus, vmcoreinfo=vmcoreinfo, loads=LOADS)
    layout = parse_layout(Memory(content, NAME))
    elf = ELFFile(io.BytesIO(content))
    loads = [item.header for item in elf.iter_segments("PT_LOAD")]
    assert [
        ElfLoad(h.p_paddr, h.p_vaddr, h.p_filesz, h.p_offset, h.p_memsz) for h in loads
    ] == list(layout.loads)
    theirs = [
        (note.n_name, note.n_descsz)
        for segment in elf.iter_segments("PT_NOTE")
        if isinstance(segment, NoteSegment)
        for note in segment.iter_notes()
    ]
    ours = list(parse_notes(Memory(content, NAME), layout.notes))
    assert [(note.name.decode(), len(note.desc)) for note in ours] == theirs
    assert max(h.p_offset + h.p_filesz for h in loads) == layout.length == len(content)


@pytest.mark.parametrize("there", [0, 0x3000])
def test_memory_that_is_not_in_the_file_is_zero(tmp_path: Path, there: int):
    """zgetdump writes memory without data in this way, and makedumpfile excluded pages."""
    content = sized(there, 0x4000)
    with ElfDump.open(written(tmp_path, content)) as dump:
        assert dump.contradictions == ()
        assert dump.memory_map == ((0, 0x4000),)
        assert dump.missing == 0
        zeros = dump.segments[-1]
        assert (zeros.paddr, zeros.vaddr, zeros.end) == (there, there, 0x4000)
        assert zeros.read(0x3800, 0x2000) == bytes(0x800)
        assert list(zeros.data_ranges(there, 0x4000)) == []
        assert dump.segments[0].read(0x1000, 4) == MEMORY[:4]


def sized(there: int, memory: int, offset: int | None = None) -> bytes:
    """p_filesz, p_memsz, and perhaps p_offset, of the PT_LOAD of all memory."""
    at = VMCORE.index(struct.pack(">2Q", 0x4000, 0x4000))
    content = patched(at, struct.pack(">2Q", there, memory))
    if offset is None:
        return content
    return content[: at - 24] + struct.pack(">Q", offset) + content[at - 16 :]


def test_the_offset_of_an_empty_segment_does_not_count(tmp_path: Path):
    """QEMU gives memory that it does not store the offset -1."""
    with ElfDump.open(written(tmp_path, sized(0, 0x4000, (1 << 64) - 1))) as dump:
        assert dump.length == len(VMCORE) - 0x4000


def test_more_zeros_than_any_machine_has_memory(tmp_path: Path):
    path = written(tmp_path, sized(0, 1 << 62))
    with open_dump(path) as one, open_dump(path) as other:
        ranges, pages, *_ = compare(one, other, NoProgress())
        assert ranges.passed
        assert pages.compared > (1 << 62) // 4096
        convert(one, tmp_path / "elf", "elf", NoProgress())
        assert (tmp_path / "elf").stat().st_size <= path.stat().st_size


@pytest.mark.parametrize("memory", [1 << 62, 1 << 63])
def test_a_dump_that_no_file_has_room_for(tmp_path: Path, memory: int):
    content = bytearray(s390.extended(4096, [s390.raw_segment(0, b"", s390.LAST)]))
    struct.pack_into(">3Q", content, 0x18, memory, 0, memory)
    with open_dump(written(tmp_path, bytes(content))) as dump:
        for form in ("elf", "s390"):
            with pytest.raises(HostError, match="no space left"):
                convert(dump, tmp_path / form, form, NoProgress())


# the first segment, of 0x1000-0x1fff, is always there
LEFT_OUT = {
    0: [(0, 0x1000), (0x2000, 0x4000)],
    0x1000: [(0x2000, 0x4000)],
    0x3000: [(0x3000, 0x4000)],
}


@pytest.mark.parametrize("there", LEFT_OUT)
def test_memory_that_was_left_out_stays_left_out(tmp_path: Path, there: int):
    left_out = LEFT_OUT[there]
    size = sum(end - start for start, end in left_out)
    with ElfDump.open(written(tmp_path, sized(there, 0x4000))) as dump:
        assert list(dump.left_out) == left_out
        assert describe(dump)["left_out"] == size
        for form in ("s390", "s390_ext"):
            with pytest.raises(UsageError, match=f"{size // 4096} pages were left out of the file"):
                convert(dump, tmp_path / form, form, NoProgress())
        convert(dump, tmp_path / "elf", "elf", NoProgress())
        note, *_ = complete(dump).notes
        assert note == f"{size // 4096} pages of memory were left out of the dump"
        assert dump.read(0x1000, 0x1000) == MEMORY[0x1000:0x2000]
        assert all(any(dump.read(start, 4096)) for start, _ in dump.data_ranges())
        with ElfDump.open(tmp_path / "elf") as copy:
            assert list(copy.left_out) == left_out
            assert copy.read(0, 0x4000) == dump.read(0, 0x4000)


def test_truncated_dump_opens_and_tells_what_is_missing(tmp_path: Path):
    with ElfDump.open(written(tmp_path, VMCORE[:-5000])) as dump:
        assert dump.missing == 5000
        assert len(dump.cpus) == 2


FOREIGN = {
    "empty": (b"", "is empty"),
    "text": (b"hello, world", "no dump: offset 0 holds 68 65 6c 6c"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "compressed with gzip"),
    "LKCD of x86": (
        bytes.fromhex("ed238f61730119a8") + bytes(4096),
        "is a little-endian dump of LKCD",
    ),
    "sadump": (b"sadump\0\0" + bytes(4096), "is a dump of sadump"),
    "Windows": (b"PAGEDU64" + bytes(4096), "is a crash dump of Windows"),
    "busy": (b"zfcpdump busy\0" + bytes(4096), "never finished"),
    "zeros": (bytes(4096), "first page, which is written last, never was"),
    "zeros at the start": (bytes(4095) + b"text", "no dump: offset 0 holds 00 00"),
    "few zeros": (bytes(14), "no dump: offset 0 holds 00 00"),
    "version 0": (patched(6, b"\0"), "offset 6: EI_VERSION is 0, not 1"),
    "only the magic": (b"\x7fELF", "truncated: 4 bytes"),
    "x86-64": (b"\x7fELF\x02\x01\x01" + bytes(57), "class 2, data encoding 1"),
    "31 bit": (b"\x7fELF\x01\x02\x01" + bytes(57), "class 1, data encoding 2"),
    "executable": (patched(16, b"\0\2"), "offset 16: e_type is 2, not 4"),
    "ppc64": (patched(18, b"\0\x15"), "offset 18: e_machine is 21, not 22"),
    "odd headers": (patched(54, b"\0\x20"), "offset 54: e_phentsize is 32, not 56"),
    "no headers": (patched(56, b"\0\0"), "offset 56: e_phnum is 0"),
    "headers elsewhere": (patched(56, b"\xff\xff"), "offset 56: e_phnum is 65535"),
    "headers behind the end": (
        patched(32, struct.pack(">Q", 1 << 60)),
        "program header at offset 0x1000000000000000 needs 56 bytes",
    ),
    "cut in the notes": (VMCORE[:0x200], "truncated: the notes end at"),
    "huge note": (
        VMCORE.replace(
            elf_note(b"VMCOREINFO", 0, VMCOREINFO), struct.pack(">3I", 11, 1 << 31, 0), 1
        ),
        "n_namesz, n_descsz",
    ),
    "too many notes": (patched(64 + 32, struct.pack(">Q", 1 << 32)), "4294967296 bytes of notes"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_anything_else_is_refused_with_file_and_place(tmp_path: Path, name: str):
    content, message = FOREIGN[name]
    path = written(tmp_path, content)
    with pytest.raises(EvidenceError) as caught:
        open_dump(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message


def test_missing_file_and_directory_are_refused(tmp_path: Path):
    with pytest.raises(EvidenceError, match="No such file"):
        ElfDump.open(tmp_path / "none")
    with pytest.raises(EvidenceError, match="is a directory"):
        ElfDump.open(tmp_path)
    with pytest.raises(EvidenceError, match="neither a regular file"):
        ElfDump.open(Path("/dev/null"))


def test_cpu_without_prefix_is_named(tmp_path: Path):
    content = VMCORE.replace(struct.pack(">3I", 6, 4, 0x305), struct.pack(">3I", 6, 4, 0x7FF))
    with ElfDump.open(written(tmp_path, content)) as dump:
        assert [cpu.prefix for cpu in dump.cpus] == [None, None]
        assert [cpu.gprs for cpu in dump.cpus] == [cpu.gprs for cpu in CPUS]
        assert dump.misfits == tuple(
            f"CPU {number}: ELF note 0x305 is missing: these registers are unknown"
            for number in (0, 1)
        )
        assert [cpu["prefix"] for cpu in describe(dump)["cpus"]] == [None, None]


def test_a_dump_without_all_registers_is_converted_only_to_elf(tmp_path: Path):
    content = VMCORE.replace(struct.pack(">3I", 6, 128, 0x304), struct.pack(">3I", 6, 128, 0x7FF))
    with ElfDump.open(written(tmp_path, content)) as dump:
        for form in ("s390", "s390_ext"):
            with pytest.raises(
                EvidenceError, match=r"CPU 0: .* not have all its registers \(crs\)"
            ):
                convert(dump, tmp_path / form, form, NoProgress())
        convert(dump, tmp_path / "elf", "elf", NoProgress())
        with ElfDump.open(tmp_path / "elf") as converted:
            assert converted.cpus == dump.cpus
            assert all(result.passed for result in compare(dump, converted, NoProgress()))


def test_nameless_note_ends_the_notes():
    content = VMCORE.replace(b"VMCOREINFO\0", bytes(11))
    content = content.replace(struct.pack(">3I", 11, len(VMCOREINFO), 0), bytes(12))
    notes = list(parse_notes(Memory(content, NAME), parse_layout(Memory(content, NAME)).notes))
    assert b"VMCOREINFO" not in [note.name for note in notes]
    assert [note.type for note in notes].count(1) == 2


def read_all(path: Path) -> str:
    """Read a dump like a front end; a refusal must name the file."""
    try:
        with ElfDump.open(path) as dump:
            _ = dump.cpus, dump.vmcoreinfo, dump.missing
    except EvidenceError as error:
        return error.message
    return f"{path}: fine"


EACH_EXAMPLE_WRITES_ITS_OWN_FILE = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@EACH_EXAMPLE_WRITES_ITS_OWN_FILE
@given(content=st.binary(max_size=300), elf=st.booleans())
def test_arbitrary_bytes_raise_evidence_error_only(tmp_path: Path, content: bytes, elf: bool):
    path = written(tmp_path, VMCORE[:8] + content if elf else content)
    assert read_all(path).startswith(f"{path}: ")


HEADERS = VMCORE[:4096]


@EACH_EXAMPLE_WRITES_ITS_OWN_FILE
@given(
    st.lists(
        st.tuples(st.integers(0, len(HEADERS) - 1), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, len(HEADERS)),
)
def test_damaged_headers_raise_evidence_error_only(
    tmp_path: Path, damages: list[tuple[int, bytes]], length: int
):
    content = bytearray(HEADERS)
    for offset, data in damages:
        content[offset : offset + len(data)] = data
    for damaged in (content, content[:length]):
        path = written(tmp_path, bytes(damaged))
        assert read_all(path).startswith(f"{path}: ")


def test_qemus_own_dump_has_vmcoreinfo_in_memory_only(tmp_path: Path):
    """QEMU's dump has only notes of CPUs. A /proc/vmcore without the note has no VMCOREINFO."""
    memory = crashed_memory()
    content = vmcore(memory, CPUS, vmcoreinfo=None)
    with open_dump(written(tmp_path, content)) as dump:
        assert dump.vmcoreinfo is None
    content = content.replace(struct.pack(">3I", 5, 136, 3), struct.pack(">3I", 5, 136, 0x7FF), 1)
    with ElfDump.open(written(tmp_path, content)) as dump:
        assert dump.vmcoreinfo == VMCOREINFO
        assert dump.vmcoreinfo_note is None
