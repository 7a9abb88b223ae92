"""Reader of s390x ELF dumps: ``/proc/vmcore`` as a dump tool saved it, or QEMU's own dump.

Not built on pyelftools: a damaged dump must yield an error that names field and offset, while
pyelftools raises whatever its parser trips over, and it follows section headers first, which a
core does not need (QEMU 7.2 writes senseless ones). The tests use it as the second opinion.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, Self

from harness.closing import Closing
from harness.dump.c_elf import (
    EHDR_SIZE,
    EI_CLASS,
    EI_DATA,
    ELFCLASS64,
    ELFDATA2MSB,
    ELFMAG,
    EM_S390,
    ET_CORE,
    NHDR_SIZE,
    PHDR_SIZE,
    PN_XNUM,
    PT_LOAD,
    PT_NOTE,
    c_elf,
)
from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.s390x.notes import Note, cpu_states

BUSY_MARKER = b"zfcpdump busy\0"  # what zfcpdump 3 writes first, and overwrites last
VMCOREINFO = b"VMCOREINFO"
_CPU_NOTE_NAMES = (b"CORE", b"LINUX")
_FOREIGN = (
    (BUSY_MARKER, "a dump that was begun and never finished (zfcpdump's busy marker)"),
    (bytes(len(BUSY_MARKER)), "a dump whose first page, which is written last, never was"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"KDUMP   ", "a kdump-compressed dump"),
    (b"\xa8\x19\x01\x73\x61\x8f\x23", "a dump in s390 stand-alone format"),
)


@dataclass(frozen=True)
class Segment:
    """One PT_LOAD: ``size`` bytes at file ``offset`` are memory from absolute ``paddr`` on."""

    paddr: int
    vaddr: int
    size: int
    offset: int

    @property
    def end(self) -> int:
        """The first absolute address behind it."""
        return self.paddr + self.size


class ElfNote(NamedTuple):
    """One note: owner name without its NUL, type, and descriptor bytes."""

    name: bytes
    type: int
    desc: bytes


@dataclass(frozen=True)
class ElfLayout:
    """Where things lie in an ELF core; ``notes`` are (file offset, size) of each PT_NOTE."""

    segments: tuple[Segment, ...]
    notes: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        """Bytes the file must have so that nothing described is missing."""
        ends = [segment.offset + segment.size for segment in self.segments]
        return max([offset + size for offset, size in self.notes] + ends, default=0)


class ElfDump(Closing):
    """An open dump file; a context manager. ``map`` is the whole file, ``size`` its bytes."""

    def __init__(self, path: Path, file: BufferedReader, content: mmap.mmap) -> None:
        self.path = path
        self.file = file
        self.map = content
        self.size = len(content)
        self._layout = parse_layout(content, path)
        self.notes = tuple(parse_notes(content, self._layout, path))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises EvidenceError, naming file, offset and field, for anything but an s390x core.

        A dump that ends early is opened as long as its headers and notes are there; ``missing``
        tells how much is not.
        """
        with ExitStack() as stack:
            file = stack.enter_context(_open_regular(path))
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise EvidenceError(f"{path}: is empty")
            content = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
            stack.callback(content.close)
            dump = cls(path, file, content)
            stack.pop_all()
        return dump

    def close(self) -> None:
        """A second call does nothing."""
        self.map.close()
        self.file.close()

    @property
    def segments(self) -> tuple[Segment, ...]:
        return self._layout.segments

    @property
    def missing(self) -> int:
        """Bytes by which the file is too short for its own program headers."""
        return max(0, self._layout.length - self.size)

    @property
    def cpus(self) -> tuple[CpuState, ...]:
        """Registers of each CPU in file order.

        The clock comparator is as stored: ``/proc/vmcore`` holds it shifted right by 8 bits
        (Linux copies it from the store status area), QEMU's dump the register itself.
        Raises EvidenceError naming CPU and note if one is missing or too short.
        """
        notes = (Note(note.type, note.desc) for note in self.notes if note.name in _CPU_NOTE_NAMES)
        try:
            return cpu_states(notes)
        except ValueError as error:
            raise EvidenceError(f"{self.path}: {error}") from error

    @property
    def vmcoreinfo(self) -> bytes | None:
        """Descriptor of the VMCOREINFO note, as it stands there."""
        return next((note.desc for note in self.notes if note.name == VMCOREINFO), None)


def parse_layout(content: bytes | mmap.mmap, path: Path) -> ElfLayout:
    """Check the ELF header in ``content`` and read the program headers.

    ``path`` is for the EvidenceError that anything but an s390x core raises.
    """
    header = _header(content, path)
    segments, notes = [], []
    for number in range(header.e_phnum):
        at = header.e_phoff + number * PHDR_SIZE
        phdr = _struct(c_elf.Elf64_Phdr, PHDR_SIZE, content, at, path, "program header")
        if phdr.p_type == PT_LOAD:
            segments.append(Segment(phdr.p_paddr, phdr.p_vaddr, phdr.p_filesz, phdr.p_offset))
        elif phdr.p_type == PT_NOTE:
            notes.append((phdr.p_offset, phdr.p_filesz))
    return ElfLayout(tuple(segments), tuple(notes))


def parse_notes(content: bytes | mmap.mmap, layout: ElfLayout, path: Path) -> Iterator[ElfNote]:
    """Every note, in file order; a nameless one ends its PT_NOTE (Linux pads with those).

    Raises EvidenceError if a note does not fit into its PT_NOTE, or that not into the file.
    """
    for start, size in layout.notes:
        at, end = start, start + size
        if end > len(content):
            raise EvidenceError(
                f"{path}: truncated: the notes end at offset {end:#x}, the file at "
                f"{len(content):#x}"
            )
        while at < end:
            nhdr = _struct(c_elf.Elf64_Nhdr, NHDR_SIZE, content, at, path, "note header")
            if nhdr.n_namesz == 0:
                break
            name_at = at + NHDR_SIZE
            desc_at = name_at + _align4(nhdr.n_namesz)
            if desc_at + nhdr.n_descsz > end:
                raise EvidenceError(
                    f"{path}: offset {at:#x}: note of {nhdr.n_namesz} + {nhdr.n_descsz} bytes "
                    f"(n_namesz, n_descsz) passes the end of its segment at {end:#x}"
                )
            yield ElfNote(
                bytes(content[name_at : name_at + nhdr.n_namesz]).rstrip(b"\0"),
                nhdr.n_type,
                bytes(content[desc_at : desc_at + nhdr.n_descsz]),
            )
            at = desc_at + _align4(nhdr.n_descsz)


def _open_regular(path: Path) -> BufferedReader:
    if path.is_dir():
        raise EvidenceError(f"{path}: is a directory, not a dump")
    if path.exists() and not path.is_file():  # a FIFO would block
        raise EvidenceError(f"{path}: is not a regular file")
    try:
        return path.open("rb")
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error


def _header(content: bytes | mmap.mmap, path: Path) -> Any:
    start = bytes(content[: len(BUSY_MARKER)])
    for magic, what in _FOREIGN:
        if start.startswith(magic):
            raise EvidenceError(f"{path}: is {what}, not an ELF core")
    if not start.startswith(ELFMAG):
        raise EvidenceError(f"{path}: not ELF: offset 0 holds {start[:4].hex(' ') or 'nothing'}")
    if len(content) < EHDR_SIZE:
        raise EvidenceError(f"{path}: truncated: {len(content)} bytes, less than an ELF header")
    ident = content[: EI_DATA + 1]
    if ident[EI_CLASS] != ELFCLASS64 or ident[EI_DATA] != ELFDATA2MSB:
        raise EvidenceError(
            f"{path}: foreign: e_ident at offset {EI_CLASS} says class {ident[EI_CLASS]}, data "
            f"encoding {ident[EI_DATA]}; an s390x dump is class 2 (64 bit), encoding 2 (big-endian)"
        )
    header = _struct(c_elf.Elf64_Ehdr, EHDR_SIZE, content, 0, path, "ELF header")
    for field, at, want in (
        ("e_type", 16, ET_CORE),
        ("e_machine", 18, EM_S390),
        ("e_phentsize", 54, PHDR_SIZE),
    ):
        found = getattr(header, field)
        if found != want:
            raise EvidenceError(f"{path}: offset {at}: {field} is {found}, not {want}")
    if header.e_phnum in (0, PN_XNUM):
        raise EvidenceError(f"{path}: offset 56: e_phnum is {header.e_phnum}: no usable headers")
    return header


def _struct(
    kind: Any, size: int, content: bytes | mmap.mmap, at: int, path: Path, what: str
) -> Any:
    if at + size > len(content):
        raise EvidenceError(
            f"{path}: truncated: {what} at offset {at:#x} needs {size} bytes, the file ends at "
            f"{len(content):#x}"
        )
    return kind(bytes(content[at : at + size]))


def _align4(size: int) -> int:
    return (size + 3) & ~3
