"""The notes of an ELF core, or of a kdump: registers of CPUs, and VMCOREINFO."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.dump.byte_source import ByteSource
from harness.dump.formats.elf.c_elf import NHDR_SIZE
from harness.dump.linux import vmcoreinfo_note
from harness.errors import EvidenceError
from harness.limits import limits, require
from harness.s390x.cpu import DumpedCpu
from harness.s390x.notes import NT_PRSTATUS, S390_ONLY, Note, cpu_states, misfits

_CPU_NOTE_NAMES = (b"CORE", b"LINUX")
_ZEROS = re.compile(rb"\0*")
_NHDR = struct.Struct(">3I")  # Elf64_Nhdr: a small file may have very many


@dataclass(frozen=True)
class NoteSegment:
    """A PT_NOTE: ``size`` bytes at file ``offset``, with the alignment that its header tells."""

    offset: int
    size: int
    align: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size


class ElfNote(NamedTuple):
    """One note: owner with its NUL, type, descriptor bytes.

    ``segment`` counts the PT_NOTEs. A note is ``padded`` if what fills it up to a multiple of 4
    bytes is in its PT_NOTE, too.
    """

    owner: bytes
    type: int
    desc: bytes
    segment: int = 0
    padded: bool = True

    @property
    def name(self) -> bytes:
        """The owner without its NUL."""
        return self.owner.rstrip(b"\0")

    @property
    def is_of_cpu(self) -> bool:
        """Whether it may have registers of a CPU."""
        return self.name in _CPU_NOTE_NAMES


def parse_notes(content: ByteSource, segments: Sequence[NoteSegment]) -> Iterator[ElfNote]:
    """Every note, in file order. Linux pads with zeros, so a note without a name is skipped.

    Raises EvidenceError if a note does not fit into its PT_NOTE, or the PT_NOTE not into the file;
    LimitError if there are more bytes of notes than on any machine. Bytes behind a note without a
    name may be anything.
    """
    total = sum(segment.size for segment in segments)
    require(content.name, "bytes of notes (p_filesz)", total, limits().note_bytes)
    count = 0
    for number, segment in enumerate(segments):
        if segment.end > content.size:
            raise EvidenceError(
                f"{content.name}: truncated: the notes end at offset {segment.end:#x}, the file at "
                f"{content.size:#x}"
            )
        for note in _parsed(content, segment, number):
            count += 1
            require(content.name, "notes", count, limits().notes)
            yield note


def _parsed(content: ByteSource, segment: NoteSegment, number: int) -> Iterator[ElfNote]:
    data = content.read(segment.offset, segment.size, "notes")
    at, lenient = 0, False
    while at < len(data):
        name_size, size, kind = _NHDR.unpack_from(data[at : at + NHDR_SIZE].ljust(NHDR_SIZE, b"\0"))
        name_at = at + NHDR_SIZE
        desc_at = name_at + _align4(name_size)
        end = desc_at + size
        lenient = lenient or name_size == 0
        if end > len(data):
            if lenient:
                return
            raise EvidenceError(
                f"{content.name}: offset {segment.offset + at:#x}: note of {name_size} + {size} "
                f"bytes (n_namesz, n_descsz) passes the end of its segment at {segment.end:#x}"
            )
        if name_size or size or kind:
            padded = _align4(end) <= len(data)
            desc = data[desc_at:end]
            yield ElfNote(data[name_at : name_at + name_size], kind, desc, number, padded)
            at = _align4(end)
        else:  # of many zeros
            zeros = _ZEROS.match(data, at)
            at += max(NHDR_SIZE, (zeros.end() - at) // NHDR_SIZE * NHDR_SIZE if zeros else 0)


def vmcoreinfo_of(notes: Iterable[ElfNote], name: str) -> bytes | None:
    """The descriptor of the note of VMCOREINFO; None without one, LimitError if it is too long."""
    found = next((note.desc for note in notes if note.name == vmcoreinfo_note.NAME), None)
    require(name, "bytes of VMCOREINFO", len(found or b""), limits().vmcoreinfo)
    return found


def cpus_in(notes: Sequence[ElfNote], name: str) -> tuple[DumpedCpu, ...]:
    """The CPUs among a dump's notes.

    Raises EvidenceError, naming CPU and note, if one is wrong; LimitError if there are too many.
    """
    count = sum(note.type == NT_PRSTATUS for note in _of_cpus(notes))
    require(name, "CPUs", count, limits().cpus)
    try:
        return cpu_states(_of_cpus(notes))
    except ValueError as error:
        raise EvidenceError(f"{name}: {error}") from error


def misfits_in(notes: Iterable[ElfNote]) -> tuple[str, ...]:
    """What is wrong with the notes of CPUs that can be read nevertheless."""
    return tuple(misfits(_of_cpus(notes)))


def has_s390_registers(notes: Iterable[ElfNote]) -> bool:
    """Whether one of the notes has registers that only s390 has; no other machine has its type."""
    return any(note.type in S390_ONLY for note in _of_cpus(notes))


def _of_cpus(notes: Iterable[ElfNote]) -> Iterator[Note]:
    return (Note(note.type, note.desc) for note in notes if note.is_of_cpu)


def _align4(size: int) -> int:
    return (size + 3) & ~3
