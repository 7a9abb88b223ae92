"""What other readers insist on; each rule was tried with the reader itself on a damaged dump."""

from __future__ import annotations

import gzip
import struct
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

from harness.dump.detect import read_dump
from harness.dump.formats.elf.notes import ElfNote, NoteSegment, parse_notes
from harness.dump.formats.elf.other_readers import of_headers, of_notes, of_sections
from harness.dump.refusal import Refusal
from harness.errors import LimitError
from harness.s390x.notes import cpu_notes
from tests.support.cpus import make_cpu
from tests.support.dumps import kdump
from tests.support.dumps.alone import checked, read, reds, said
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import elf_note
from tests.support.kernels.crashed_kernel import CrashedKernel

PRSTATUS, PRPSINFO, PREFIX = 0x1, 0x3, 0x305
CPU_NOTES = 9
ELF = CrashedKernel().elf()


def linux() -> list[ElfNote]:
    """The notes that Linux writes for two CPUs."""
    cpus = [
        ElfNote(name + b"\0", note.type, note.desc)
        for number in (1, 2)
        for name, note in cpu_notes(make_cpu(number), number)
    ]
    return [
        ElfNote(b"CORE\0", PRPSINFO, bytes(136)),
        *cpus,
        ElfNote(b"VMCOREINFO\0", 0, b"OSRELEASE=6.12\n"),
    ]


def qemu(order: str = "<") -> list[ElfNote]:
    """The notes that QEMU writes; versions before 10 write pr_pid as the host has numbers."""
    return [with_pid(note, order) for note in linux() if note.type not in (PRPSINFO, 0)]


def with_pid(note: ElfNote, order: str) -> ElfNote:
    if note.type != PRSTATUS:
        return note
    (pid,) = struct.unpack_from(">I", note.desc, 32)
    return note._replace(desc=note.desc[:32] + struct.pack(f"{order}I", pid) + note.desc[36:])


def replaced(kind: int, **changed: object) -> list[ElfNote]:
    return [note._replace(**changed) if note.type == kind else note for note in linux()]


def resized(kind: int, size: int) -> list[ElfNote]:
    return [
        note._replace(desc=note.desc[:size].ljust(size, b"\0")) if note.type == kind else note
        for note in linux()
    ]


def numbered(*pids: int) -> list[ElfNote]:
    rest = iter(pids)
    return [
        note._replace(desc=note.desc[:32] + struct.pack(">I", next(rest)) + note.desc[36:])
        if note.type == PRSTATUS
        else note
        for note in linux()
    ]


def told(refusals: Sequence[Refusal]) -> list[str]:
    return [f"{refusal}{' (usual)' if refusal.usual else ''}" for refusal in refusals]


def refusals(notes: list[ElfNote], *, elf: bool = True) -> list[str]:
    return told(list(of_notes(notes, elf=elf)))


@pytest.mark.parametrize("elf", [True, False])
def test_nobody_refuses_what_linux_writes(elf: bool):
    assert refusals(linux(), elf=elf) == []
    assert read(ELF).refusals == ()


ALL = "the registers of CPU 0, 1"
NOTES: dict[str, tuple[list[ElfNote], str]] = {
    "owner without NUL": (
        replaced(PRSTATUS, owner=b"CORE"),
        rf"drgn cannot take {ALL}: the owner of NT_PRSTATUS is 'CORE', not 'CORE\0'",
    ),
    "owner with padding": (
        replaced(PRSTATUS, owner=b"CORE\0\0\0\0"),
        rf"drgn, elfutils, libkdumpfile cannot take {ALL}: the owner of NT_PRSTATUS is "
        r"'CORE\0\0\0\0', not 'CORE\0'",
    ),
    "owner LINUX": (
        replaced(PRSTATUS, owner=b"LINUX\0"),
        rf"drgn, libkdumpfile cannot take {ALL}: the owner of NT_PRSTATUS is 'LINUX\0', not "
        r"'CORE\0'",
    ),
    "320 bytes": (
        resized(PRSTATUS, 320),
        f"elfutils, libkdumpfile, zgetdump cannot take {ALL}: NT_PRSTATUS has 320 bytes, not 336",
    ),
    "328 bytes": (
        resized(PRSTATUS, 328),
        f"elfutils, zgetdump cannot take {ALL}: NT_PRSTATUS has 328 bytes, not 336",
    ),
    "340 bytes": (
        resized(PRSTATUS, 340),
        f"elfutils cannot take {ALL}: NT_PRSTATUS has 340 bytes, not 336",
    ),
    "no numbers": (
        numbered(0, 0),
        f"drgn, elfutils cannot take {ALL}: pr_pid of NT_PRSTATUS is 0, not the CPU's number from "
        "1 on",
    ),
    "numbers exchanged": (
        numbered(2, 1),
        "drgn cannot take the registers of CPU 0: pr_pid of NT_PRSTATUS is 2, not the CPU's "
        "number from 1 on; drgn cannot take the registers of CPU 1: pr_pid of NT_PRSTATUS is 1, "
        "not the CPU's number from 1 on",
    ),
    "a number twice": (
        numbered(1, 1),
        "drgn cannot take the registers of CPU 1: pr_pid of NT_PRSTATUS is 1, not the CPU's "
        "number from 1 on",
    ),
    "numbers byte-swapped": (
        numbered(1 << 24, 2 << 24),
        f"drgn cannot take {ALL}: pr_pid of NT_PRSTATUS is byte-swapped",
    ),
    "NT_PRPSINFO lost": (
        replaced(PRPSINFO, type=0x7FF),
        "elfutils cannot take any registers: there is no NT_PRPSINFO",
    ),
    "NT_PRPSINFO short": (
        resized(PRPSINFO, 124),
        "elfutils cannot take any registers: NT_PRPSINFO has 124 bytes, not 136",
    ),
    "NT_PRPSINFO shorter": (
        resized(PRPSINFO, 55),
        "drgn, elfutils cannot take any registers: NT_PRPSINFO has 55 bytes, not 136",
    ),
    "owner of VMCOREINFO": (
        replaced(0, owner=b"VMCOREINFO"),
        "drgn cannot take any registers: the owner of the note of VMCOREINFO is 'VMCOREINFO', not "
        "ended by one NUL",
    ),
    "end of VMCOREINFO": (
        replaced(0, padded=False),
        "drgn cannot take any registers: the PT_NOTE ends before the padding of its last note, "
        "that of VMCOREINFO",
    ),
    "registers before the first CPU": (
        [ElfNote(b"LINUX\0", PREFIX, bytes(4)), *linux()],
        "crash, zgetdump cannot take any registers: the note 0x305 comes before the first "
        "NT_PRSTATUS",
    ),
    "registers of another owner": (
        [*linux(), ElfNote(b"QEMU\0", PRSTATUS, bytes(336))],
        r"crash, zgetdump cannot take any registers: a note of 'QEMU\0' has the type of "
        "registers, 0x1",
    ),
    "registers twice": (
        [*linux(), ElfNote(b"LINUX\0", PREFIX, b"\0\0\0\1")],
        "crash, zgetdump cannot take the registers of CPU 1: there are several notes 0x305, and "
        "the last counts",
    ),
    "no prefix": (
        [note for note in linux() if note.type != PREFIX],
        f"crash cannot take {ALL}: the note 0x305 (prefix) is missing",
    ),
    "no owner": (
        [*linux(), ElfNote(b"", 7, b"content")],
        "crash cannot take any registers: a note without an owner has 7 bytes",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_notes_that_a_reader_refuses(name: str):
    notes, message = NOTES[name]
    assert "; ".join(refusals(notes)) == message


IN_KDUMP = (
    "owner without NUL",
    "owner LINUX",
    "320 bytes",
    "no numbers",
    "owner of VMCOREINFO",
    "registers before the first CPU",
    "no prefix",
)


@pytest.mark.parametrize("name", IN_KDUMP)
def test_readers_of_elf_do_not_count_in_a_kdump(name: str):
    notes, _ = NOTES[name]
    for message in refusals(notes, elf=False):
        assert "elfutils" not in message
        assert "zgetdump" not in message
    assert refusals(notes, elf=False)


def test_what_qemu_always_writes_is_usual():
    assert refusals(qemu()) == [
        "elfutils cannot take any registers: there is no NT_PRPSINFO (usual)",
        f"drgn cannot take {ALL}: pr_pid of NT_PRSTATUS is byte-swapped (usual)",
    ]
    assert len(refusals(qemu(">"))) == 1
    assert told(list(of_sections(0xB << 56, usual=True))) == [
        "libkdumpfile cannot take any registers: the section names would take 0xb00000000000000 "
        "bytes (usual)"
    ]
    assert list(of_sections(1 << 20, usual=True)) == []


def test_cpus_of_qemu_may_have_gaps():
    notes = [note for note in numbered(1, 4) if note.type not in (PRPSINFO, 0)]
    assert refusals(notes)[1:] == [
        "drgn cannot take the registers of CPU 1: pr_pid of NT_PRSTATUS is 4, not the CPU's "
        "number from 1 on (usual)"
    ]


RECORDED = Path(import_module("tests.support.dumps.recorded").__file__ or "").parent


@pytest.mark.parametrize("name", ["core", "raw", "zlib", "flattened", "flattened-elf"])
def test_nobody_refuses_what_makedumpfile_writes(name: str):
    content = gzip.decompress((RECORDED / f"{name}.gz").read_bytes())
    assert read_dump(Memory(content, name)).refusals == ()


def headers(
    version: int = 1,
    first: int = 4,
    segments: Sequence[NoteSegment] = (NoteSegment(0x1000, 0x1000),),
    memory_at: Sequence[int] = (0x3000, 0x2000),
) -> str:
    return "; ".join(told(list(of_headers(version, first, segments, memory_at))))


def test_headers_that_a_reader_refuses():
    assert headers() == ""
    assert headers(memory_at=()) == ""
    assert headers(segments=()) == ""
    assert headers(memory_at=(0x3000, 0, (1 << 64) - 1)) == ""
    assert headers(version=0) == (
        "crash, libkdumpfile, zgetdump cannot take any registers: e_version is 0, not 1"
    )
    assert headers(first=1) == (
        "crash cannot take any registers: the first program header is not the PT_NOTE"
    )
    behind = "crash cannot take any registers: the notes are behind the memory at offset {}"
    assert headers(memory_at=(0x3000, 0x1FFF)) == behind.format("0x1fff")
    assert headers(memory_at=(0, 0x3000)) == behind.format("0x0")
    assert headers(segments=(NoteSegment(0x1000, 0x100), NoteSegment(0x1100, 0x100))) == (
        "crash, elfutils cannot take any registers: there are 2 PT_NOTE, and only the first counts"
    )
    assert headers(segments=(NoteSegment(0x1000, 0x100, 8),)) == (
        "drgn, elfutils cannot take any registers: p_align of the PT_NOTE is 8, its notes are "
        "aligned to 4 bytes"
    )


def test_check_is_red_if_a_reader_refuses():
    pid = ELF.index(struct.pack(">3I", 5, 336, PRSTATUS)) + 20 + 32
    results = checked(read(ELF[:pid] + bytes(4) + ELF[pid + 4 :]))
    assert reds(results) == {"headers"}
    assert said(results).startswith("drgn, elfutils cannot take the registers of CPU 0: pr_pid")


def test_check_only_notes_what_is_usual():
    note = struct.pack(">3I", 5, 136, PRPSINFO)
    content = ELF.replace(note, struct.pack(">3I", 5, 136, 0x7FF))
    content = content.replace(b"VMCOREINFO\0", b"SOMETHING!\0", 1)
    result = checked(read(content))["headers"]
    assert result.passed
    assert result.notes == (
        "elfutils cannot take any registers: there is no NT_PRPSINFO, as in other dumps of QEMU",
    )


def with_notes(notes: list[ElfNote], machine: bytes = b"s390x") -> bytes:
    content = b"".join(elf_note(note.owner[:-1], note.type, note.desc) for note in notes)
    return kdump.kdump(notes=content, machine=machine)


def test_a_kdump_has_refusals_and_misfits_too():
    assert read_dump(Memory(with_notes(linux()), "some.kdump")).refusals == ()
    dump = read_dump(Memory(with_notes(linux()[:2]), "some.kdump"))
    assert told(dump.refusals) == [
        "crash cannot take the registers of CPU 0: the note 0x305 (prefix) is missing"
    ]
    assert dump.misfits[0].startswith("CPU 0: ELF notes 0x2, 0x301")
    dump = read_dump(Memory(with_notes(qemu(">"), b"S390X"), "some.kdump"))
    assert told(dump.refusals) == [
        "drgn, libkdumpfile cannot take any registers: utsname.machine is 'S390X', not 's390x' "
        "(usual)"
    ]


# notes


def parsed(data: bytes) -> list[ElfNote]:
    return list(parse_notes(Memory(data, "some.elf"), (NoteSegment(0, len(data)),)))


def test_notes_behind_one_without_a_name_are_read():
    first, second = elf_note(b"CORE", 1, b"one"), elf_note(b"LINUX", 2, b"two")
    for between in (bytes(12), bytes(36), struct.pack(">3I", 0, 0, 7)):
        kinds = [note.type for note in parsed(first + between + second)]
        assert [kind for kind in kinds if kind != 7] == [1, 2]
    assert [note.type for note in parsed(first + bytes(4096 + 4))] == [1]
    assert [note.type for note in parsed(first + bytes(12) + b"anything else")] == [1]


def test_the_padding_of_a_note_may_lack():
    data = elf_note(b"CORE", 1, b"12345")
    assert [note.padded for note in parsed(data)] == [True]
    assert [note.padded for note in parsed(data[:-3])] == [False]


def test_many_bytes_without_a_name_take_no_time():
    begun = time.process_time()
    assert parsed(bytes(16 << 20)) == []
    with pytest.raises(LimitError):
        parsed((struct.pack(">3I", 0, 0, 7) + bytes(12)) * 600_000)
    assert time.process_time() - begun < 4


def test_a_million_notes_of_cpus_are_within_the_limits():
    """512 CPUs with all their notes, each of another owner, are still told in few lines."""
    notes = [
        note._replace(owner=b"CORE" + bytes(number % 7 + 1))
        for number in range(512)
        for note in linux()[1 : CPU_NOTES + 1]
    ]
    begun = time.process_time()
    assert len(refusals(notes)) < 520
    assert time.process_time() - begun < 2
