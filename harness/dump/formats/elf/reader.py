"""Reader of s390x ELF dumps: ``/proc/vmcore`` as a dump tool saved it, or QEMU's own dump.

It does not use pyelftools. A damaged dump must yield an error that names field and offset, but
pyelftools passes on the errors of its parser. It also reads section headers first; a core does not
need them, and those of QEMU 7.2 are meaningless. The tests compare both readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
    NT_PRPSINFO,
    PHDR_SIZE,
    PN_XNUM,
    PT_LOAD,
    PT_NOTE,
    PT_NULL,
    SHDR_SIZE,
    c_elf,
)
from harness.dump.formats.elf.notes import (
    NoteSegment,
    cpus_in,
    misfits_in,
    parse_notes,
    vmcoreinfo_of,
)
from harness.dump.formats.elf.other_readers import (
    made_by_qemu,
    of_headers,
    of_notes,
    of_sections,
)
from harness.dump.formats.elf.user_core import refuse_user_core
from harness.dump.reader import Dump, Range, Segment, vmcoreinfo_in
from harness.dump.refusal import Refusal
from harness.errors import EvidenceError
from harness.s390x.cpu import DumpedCpu
from harness.s390x.lowcore import PAGE_SIZE


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


@dataclass(frozen=True)
class ElfLayout:
    """The segments of an ELF core.

    ``version`` is e_version, ``first`` the first p_type, ``names`` the sh_size of section names.
    ``limited`` is the end of the machine's memory, if an entry tells that the dump lacks it.
    """

    loads: tuple[Load, ...]
    notes: tuple[NoteSegment, ...]
    version: int
    first: int
    names: int
    limited: Range | None = None

    @property
    def length(self) -> int:
        """The size in bytes that the file must have to be complete."""
        ends = [load.offset + load.size for load in self.loads if load.size]
        return max([segment.end for segment in self.notes] + ends, default=0)


class ElfDump(Dump):
    """An s390x ELF core in ``content``; notes are read at once, memory only on request."""

    format = "elf"

    def __init__(self, content: ByteSource) -> None:
        self.content, self.name = content, content.name
        refuse_user_core(content)
        self.layout = parse_layout(content)
        self.notes = tuple(parse_notes(content, self.layout.notes))
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
        return misfits_in(self.notes)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        layout = self.layout
        memory_at = [load.offset for load in layout.loads]
        names = of_sections(layout.names, usual=made_by_qemu(self.notes))
        headers = of_headers(layout.version, layout.first, layout.notes, memory_at)
        return (*names, *headers, *of_notes(self.notes, elf=True))

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
    loads, notes, types, limited = [], [], [], None
    for number in range(header.e_phnum):
        at = header.e_phoff + number * PHDR_SIZE
        phdr = c_elf.Elf64_Phdr(content.read(at, PHDR_SIZE, "program header"))
        types.append(phdr.p_type)
        if phdr.p_type == PT_LOAD:
            loads.append(
                Load(phdr.p_paddr, phdr.p_vaddr, phdr.p_filesz, phdr.p_offset, phdr.p_memsz)
            )
        elif phdr.p_type == PT_NOTE:
            notes.append(NoteSegment(phdr.p_offset, phdr.p_filesz, phdr.p_align))
        elif (phdr.p_type, phdr.p_flags) == (PT_NULL, LIMITED) and phdr.p_paddr < phdr.p_vaddr:
            limited = Range(phdr.p_paddr, phdr.p_vaddr)
    names = _names(content, header)
    return ElfLayout(tuple(loads), tuple(notes), header.e_version, types[0], names, limited)


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


def _names(content: ByteSource, header: c_elf.Elf64_Ehdr) -> int:
    """sh_size of the section with the names of the others; 0 without one. A core needs none."""
    at = header.e_shoff + header.e_shstrndx * header.e_shentsize
    data = content.upto(at, SHDR_SIZE) if 0 < header.e_shstrndx < header.e_shnum else b""
    return int(c_elf.Elf64_Shdr(data).sh_size) if len(data) == SHDR_SIZE else 0
