"""Writer of s390x ELF cores in the form of Linux: notes, then the segments of memory.

References: Linux ``arch/s390/kernel/crash_dump.c`` (elfcorehdr_alloc, fill_cpu_elf_notes);
s390-tools ``zdump/dfo_elf.c``.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.dump.byte_source import Zeros
from harness.dump.formats.elf.c_elf import (
    EHDR_SIZE,
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
    c_elf,
)
from harness.dump.linux import vmcoreinfo_note
from harness.dump.reader import Dump, Segment, refuse_repeats, without
from harness.dump.sparse_writer import SparseFile
from harness.errors import EvidenceError
from harness.progress import Task
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.notes import Note, cpu_notes

CHUNK = 1 << 20
_PF_RWX = 7
_MOST = PN_XNUM - 3  # PT_LOADs; there are a PT_NOTE and perhaps the header of a limit, too


class _Load(NamedTuple):
    """One PT_LOAD: ``rest`` bytes behind ``segment`` were left out of the dump."""

    segment: Segment
    rest: int = 0

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return 0 if self.segment.left_out else self.segment.size


def write_elf(dump: Dump, target: Path, task: Task) -> None:
    """Write ``dump`` as an ELF core, with a hole for every zero page.

    The segments are those of ``dump``; what was left out of it is not in the new file either, but
    described (p_memsz). Pages that were left out because they are zero are there as holes. If it
    has no virtual addresses, the absolute ones are used.
    Raises EvidenceError if the dump cannot be read, HostError if the target cannot be written; the
    target is then removed.
    """
    refuse_repeats(dump)
    loads = _loads(dump)
    notes = b"".join(_notes(dump))
    limit = list(_limit(dump))
    notes_at = EHDR_SIZE + PHDR_SIZE * (1 + len(loads) + len(limit))
    loads_at = _aligned(notes_at + len(notes))
    phdrs = [c_elf.Elf64_Phdr(p_type=PT_NOTE, p_offset=notes_at, p_filesz=len(notes))]
    phdrs[0].p_memsz = len(notes)  # as in Linux, although a PT_NOTE takes no memory
    at = loads_at
    for load in loads:
        segment = load.segment
        phdrs.append(
            c_elf.Elf64_Phdr(
                p_type=PT_LOAD,
                p_flags=_PF_RWX,
                p_offset=at,
                p_vaddr=_virtual(segment),
                p_paddr=segment.paddr,
                p_filesz=load.size,
                p_memsz=segment.size + load.rest,
                p_align=PAGE_SIZE,
            )
        )
        at += _aligned(load.size)
    table = b"".join(phdr.dumps() for phdr in phdrs + limit)
    head = _header(len(phdrs) + len(limit)).dumps() + table + notes
    end = max(phdr.p_offset + phdr.p_filesz for phdr in phdrs)
    with SparseFile.create(target, end) as file:
        done = 0
        for (segment, rest), phdr in zip(loads, phdrs[1:], strict=True):
            for part in segment.data_ranges(segment.paddr, segment.present_end):
                for address in range(part.start, part.end, CHUNK):
                    data = segment.read(address, min(CHUNK, part.end - address))
                    file.write(phdr.p_offset + address - segment.paddr, data)
                    task.update(done + address - segment.paddr)
            done += segment.size + rest
        file.write(0, head)
        task.update(done)


def _loads(dump: Dump) -> list[_Load]:
    """The segments of ``dump``, each with the memory that was left out directly behind it.

    Raises EvidenceError if they are more than an ELF header can count.
    """
    loads: list[_Load] = []
    for segment in _described(dump):
        before, rest = loads[-1] if loads else (None, 0)
        if before and segment.left_out and _follows(segment, before, rest):
            loads[-1] = _Load(before, rest + segment.size)
        elif len(loads) < _MOST:
            loads.append(_Load(segment))
        else:
            raise EvidenceError(f"{dump.name}: more than {_MOST} segments are too many for ELF")
    return loads


def _described(dump: Dump) -> Iterator[Segment]:
    """The segments of ``dump``, and memory that it describes without one, as a kdump does."""
    unknown = dump.filtered is not None
    others = (
        Segment(start, end - start, Zeros(end - start, dump.name), left_out=unknown)
        for start, end in without(dump.left_out, dump.memory_map)
    )  # only of a dump whose segments ascend; without any, the others keep the dump's order
    return heapq.merge(dump.segments, others, key=lambda segment: segment.paddr)


def _follows(segment: Segment, before: Segment, rest: int) -> bool:
    size = before.size + rest
    places = segment.paddr, _virtual(segment)
    return places == (before.paddr + size, _virtual(before) + size)


def _virtual(segment: Segment) -> int:
    return segment.paddr if segment.vaddr is None else segment.vaddr


def _limit(dump: Dump) -> Iterator[c_elf.Elf64_Phdr]:
    if dump.limited is not None:
        start, end = dump.limited
        yield c_elf.Elf64_Phdr(p_type=PT_NULL, p_flags=LIMITED, p_paddr=start, p_vaddr=end)


def _header(phdrs: int) -> c_elf.Elf64_Ehdr:
    return c_elf.Elf64_Ehdr(
        e_ident=list((ELFMAG + bytes([ELFCLASS64, ELFDATA2MSB, EV_CURRENT])).ljust(16, b"\0")),
        e_type=ET_CORE,
        e_machine=EM_S390,
        e_version=EV_CURRENT,
        e_phoff=EHDR_SIZE,
        e_ehsize=EHDR_SIZE,
        e_phentsize=PHDR_SIZE,
        e_phnum=phdrs,
    )


def _notes(dump: Dump) -> Iterator[bytes]:
    yield _note(b"CORE", Note(NT_PRPSINFO, _prpsinfo()))
    for number, cpu in enumerate(dump.cpus, 1):
        for name, note in cpu_notes(cpu, number):
            yield _note(name, note)
    vmcoreinfo = dump.vmcoreinfo
    if vmcoreinfo is not None:
        yield _note(vmcoreinfo_note.NAME, Note(0, vmcoreinfo))


def _note(name: bytes, note: Note) -> bytes:
    nhdr = c_elf.Elf64_Nhdr(
        n_namesz=len(name) + 1, n_descsz=len(note.desc), n_type=note.type
    ).dumps()
    padded = [part + bytes(-len(part) % 4) for part in (name + b"\0", note.desc)]
    return nhdr + b"".join(padded)


def _prpsinfo() -> bytes:
    """The elf_prpsinfo of a process called vmlinux, as in every s390x dump."""
    return struct.pack(">xc38x16s80x", b"R", b"vmlinux")


def _aligned(size: int) -> int:
    return -(-size // PAGE_SIZE) * PAGE_SIZE
