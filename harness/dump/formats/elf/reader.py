"""Reader of s390x ELF dumps: ``/proc/vmcore`` as a dump tool saved it, or QEMU's own dump.

It does not use pyelftools. A damaged dump must yield an error that names field and offset, but
pyelftools passes on the errors of its parser. It also reads section headers first; a core does not
need them, and those of QEMU 7.2 are meaningless. The tests compare both readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from harness.dump.byte_source import ByteSource, File, Zeros
from harness.dump.formats.elf.c_elf import (
    EHDR_SIZE,
    EI_CLASS,
    EI_DATA,
    EI_VERSION,
    ELFCLASS64,
    ELFDATA2MSB,
    ELFMAG,
    EM_S390,
    ET_CORE,
    EV_CURRENT,
    LIMITED,
    NHDR_SIZE,
    NT_PRPSINFO,
    PHDR_SIZE,
    PN_XNUM,
    PT_LOAD,
    PT_NOTE,
    PT_NULL,
    c_elf,
)
from harness.dump.formats.elf.user_core import refuse_user_core
from harness.dump.linux import vmcoreinfo_note
from harness.dump.reader import Dump, Range, Segment, vmcoreinfo_in
from harness.errors import EvidenceError
from harness.limits import limits, require
from harness.s390x.cpu import DumpedCpu
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.notes import NT_PRSTATUS, S390_ONLY, Note, cpu_states, misfits

_CPU_NOTE_NAMES = (b"CORE", b"LINUX")


@dataclass(frozen=True)
class Load:
    """One PT_LOAD: ``size`` bytes at file ``offset`` are memory from absolute ``paddr`` on.

    ``memory_size`` (p_memsz) is the same, or more: the rest was left out. zgetdump leaves out
    memory that is all zero (s390-tools ``zdump/dfo_elf.c``), and makedumpfile -E leaves out
    excluded pages at the end. zgetdump (``dfi_elf.c``) and crash read the rest as zero, as does
    this reader.
    """

    paddr: int
    vaddr: int
    size: int
    offset: int
    memory_size: int


class ElfNote(NamedTuple):
    """One note: owner name without its NUL, type, and descriptor bytes."""

    name: bytes
    type: int
    desc: bytes


@dataclass(frozen=True)
class ElfLayout:
    """The segments of an ELF core; ``notes`` are (file offset, size) of each PT_NOTE.

    ``limited`` is the end of the machine's memory, if an entry tells that the dump lacks it.
    """

    loads: tuple[Load, ...]
    notes: tuple[tuple[int, int], ...]
    limited: Range | None = None

    @property
    def length(self) -> int:
        """The size in bytes that the file must have to be complete."""
        ends = [load.offset + load.size for load in self.loads if load.size]
        return max([offset + size for offset, size in self.notes] + ends, default=0)


class ElfDump(Dump):
    """An s390x ELF core in ``content``; notes are read at once, memory only on request."""

    format = "elf"

    def __init__(self, content: ByteSource) -> None:
        self.content, self.name = content, content.name
        refuse_user_core(content)
        self.layout = parse_layout(content)
        self.notes = tuple(parse_notes(content, self.layout))
        self.segments = tuple(
            segment for load in self.layout.loads for segment in self._segments(load)
        )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises EvidenceError, naming file, offset and field, for anything but an s390x core.

        A truncated dump can be opened if its headers and notes are there; ``missing`` tells how
        many bytes are not.
        """
        file = File.open(path)
        try:
            return cls(file)
        except BaseException:
            file.close()
            raise

    @property
    def cpus(self) -> tuple[DumpedCpu, ...]:
        """In file order. QEMU's own dump has the whole clock comparator, not shifted."""
        return cpus_in(self.notes, self.name)

    @property
    def misfits(self) -> tuple[str, ...]:
        return tuple(misfits(_of_cpus(self.notes)))

    @property
    def length(self) -> int:
        return self.layout.length

    @property
    def vmcoreinfo(self) -> bytes | None:
        """The content of its note. QEMU writes no such note; VMCOREINFO is then only in memory.

        Raises LimitError if it is too long.
        """
        is_vmcore = any(note.type == NT_PRPSINFO for note in self.notes)  # not in QEMU's either
        return self.vmcoreinfo_note if is_vmcore else self.vmcoreinfo_note or vmcoreinfo_in(self)

    @property
    def vmcoreinfo_note(self) -> bytes | None:
        """Descriptor of the note; None if there is none."""
        return vmcoreinfo_of(self.notes, self.name)

    @property
    def filtered(self) -> str | None:
        """Perhaps all were zero: zgetdump leaves out no others, but makedumpfile does."""
        pages = sum(-(-(end - start) // PAGE_SIZE) for start, end in self.left_out)
        return f"{pages} pages were left out of the file (p_filesz)" if pages else None

    @property
    def limited(self) -> Range | None:
        return self.layout.limited

    @property
    def contradictions(self) -> tuple[str, ...]:
        """The sizes in a PT_LOAD, and where the PT_LOADs of a limited dump end."""
        sizes = (
            f"the PT_LOAD at {load.paddr:#x} has {load.size:#x} bytes in the file (p_filesz), "
            f"{load.memory_size:#x} in memory (p_memsz)"
            for load in self.layout.loads
            if load.size > load.memory_size
        )
        end, limit = max((item.end for item in self.segments), default=0), self.limited
        if limit is None or limit.start >= end:
            return tuple(sizes)
        return (*sizes, f"memory is limited to {limit.start:#x}, but a PT_LOAD ends at {end:#x}")

    @property
    def facts(self) -> Mapping[str, object]:
        return {"e_phnum": len(self.layout.loads) + len(self.layout.notes)}

    def _segments(self, load: Load) -> Iterator[Segment]:
        rest = load.memory_size - load.size
        if load.size or rest <= 0:
            content = self.content.part(load.offset, load.size)
            yield Segment(load.paddr, load.size, content, load.vaddr)
        if rest > 0:
            zeros = Zeros(rest, self.name)
            yield Segment(
                load.paddr + load.size, rest, zeros, load.vaddr + load.size, left_out=True
            )


def parse_layout(content: ByteSource) -> ElfLayout:
    """Check the ELF header and read the program headers.

    Raises EvidenceError, naming offset and field, for anything but an s390x core.
    """
    header = _header(content)
    loads, notes, limited = [], [], None
    for number in range(header.e_phnum):
        at = header.e_phoff + number * PHDR_SIZE
        phdr = c_elf.Elf64_Phdr(content.read(at, PHDR_SIZE, "program header"))
        if phdr.p_type == PT_LOAD:
            loads.append(
                Load(phdr.p_paddr, phdr.p_vaddr, phdr.p_filesz, phdr.p_offset, phdr.p_memsz)
            )
        elif phdr.p_type == PT_NOTE:
            notes.append((phdr.p_offset, phdr.p_filesz))
        elif (phdr.p_type, phdr.p_flags) == (PT_NULL, LIMITED) and phdr.p_paddr < phdr.p_vaddr:
            limited = Range(phdr.p_paddr, phdr.p_vaddr)
    return ElfLayout(tuple(loads), tuple(notes), limited)


def parse_notes(content: ByteSource, layout: ElfLayout) -> Iterator[ElfNote]:
    """Every note, in file order; a note without a name ends its PT_NOTE (Linux pads with them).

    Raises EvidenceError if a note does not fit into its PT_NOTE, or the PT_NOTE not into the file;
    LimitError if there are more bytes of notes than on any machine.
    """
    total, count, most = sum(size for _, size in layout.notes), 0, limits().notes
    require(content.name, "bytes of notes (p_filesz)", total, limits().note_bytes)
    for start, size in layout.notes:
        at, end = start, start + size
        if end > content.size:
            raise EvidenceError(
                f"{content.name}: truncated: the notes end at offset {end:#x}, the file at "
                f"{content.size:#x}"
            )
        while at < end:
            nhdr = c_elf.Elf64_Nhdr(content.read(at, NHDR_SIZE, "note header"))
            if nhdr.n_namesz == 0:
                break
            count += 1
            require(content.name, "notes", count, most)
            name_at = at + NHDR_SIZE
            desc_at = name_at + _align4(nhdr.n_namesz)
            if desc_at + nhdr.n_descsz > end:
                raise EvidenceError(
                    f"{content.name}: offset {at:#x}: note of {nhdr.n_namesz} + {nhdr.n_descsz} "
                    f"bytes (n_namesz, n_descsz) passes the end of its segment at {end:#x}"
                )
            yield ElfNote(
                content.read(name_at, nhdr.n_namesz, "note name").rstrip(b"\0"),
                nhdr.n_type,
                content.read(desc_at, nhdr.n_descsz, "note descriptor"),
            )
            at = desc_at + _align4(nhdr.n_descsz)


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


def has_s390_registers(notes: Iterable[ElfNote]) -> bool:
    """Whether one of the notes has registers that only s390 has; no other machine has its type."""
    return any(note.type in S390_ONLY for note in _of_cpus(notes))


def _of_cpus(notes: Iterable[ElfNote]) -> Iterator[Note]:
    return (Note(note.type, note.desc) for note in notes if note.name in _CPU_NOTE_NAMES)


def _header(content: ByteSource) -> c_elf.Elf64_Ehdr:
    name = content.name
    start = content.upto(0, EHDR_SIZE)
    if not start.startswith(ELFMAG):
        raise EvidenceError(f"{name}: not ELF: offset 0 holds {start[:4].hex(' ') or 'nothing'}")
    if len(start) < EHDR_SIZE:
        raise EvidenceError(f"{name}: truncated: {len(start)} bytes, less than an ELF header")
    if start[EI_CLASS] != ELFCLASS64 or start[EI_DATA] != ELFDATA2MSB:
        raise EvidenceError(
            f"{name}: foreign: e_ident at offset {EI_CLASS} says class {start[EI_CLASS]}, data "
            f"encoding {start[EI_DATA]}; an s390x dump is class 2 (64 bit), encoding 2 (big-endian)"
        )
    if start[EI_VERSION] != EV_CURRENT:
        raise EvidenceError(
            f"{name}: offset {EI_VERSION}: EI_VERSION is {start[EI_VERSION]}, not {EV_CURRENT}"
        )
    header = c_elf.Elf64_Ehdr(start)
    for field, at, want in (
        ("e_type", 16, ET_CORE),
        ("e_machine", 18, EM_S390),
        ("e_phentsize", 54, PHDR_SIZE),
    ):
        found = getattr(header, field)
        if found != want:
            raise EvidenceError(f"{name}: offset {at}: {field} is {found}, not {want}")
    if header.e_phnum in (0, PN_XNUM):
        raise EvidenceError(f"{name}: offset 56: e_phnum is {header.e_phnum}: no usable headers")
    return header


def _align4(size: int) -> int:
    return (size + 3) & ~3
