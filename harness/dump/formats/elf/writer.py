"""Writer of s390x ELF cores in the form of Linux: notes, then the segments of memory.

References: Linux ``arch/s390/kernel/crash_dump.c`` (elfcorehdr_alloc, fill_cpu_elf_notes);
s390-tools ``zdump/dfo_elf.c``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from harness.dump.formats.elf.c_elf import (
    EHDR_SIZE,
    ELFCLASS64,
    ELFDATA2MSB,
    ELFMAG,
    EM_S390,
    ET_CORE,
    EV_CURRENT,
    NT_PRPSINFO,
    PHDR_SIZE,
    PN_XNUM,
    PT_LOAD,
    PT_NOTE,
    c_elf,
)
from harness.dump.linux import vmcoreinfo_note
from harness.dump.reader import Dump, refuse_repeats
from harness.dump.sparse_writer import SparseFile
from harness.errors import EvidenceError
from harness.progress import Task
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.notes import Note, cpu_notes

CHUNK = 1 << 20
_PF_RWX = 7


def write_elf(dump: Dump, target: Path, task: Task) -> None:
    """Write ``dump`` as an ELF core, with a hole for every zero page.

    The segments are those of ``dump``; what was left out of it is not in the new file either. If it
    has no virtual addresses, the absolute ones are used.
    Raises EvidenceError if the dump cannot be read, HostError if the target cannot be written; the
    target is then removed.
    """
    if len(dump.segments) + 1 >= PN_XNUM:
        raise EvidenceError(f"{dump.name}: {len(dump.segments)} segments are too many for ELF")
    refuse_repeats(dump)
    notes = b"".join(_notes(dump))
    notes_at = EHDR_SIZE + PHDR_SIZE * (1 + len(dump.segments))
    loads_at = _aligned(notes_at + len(notes))
    phdrs = [c_elf.Elf64_Phdr(p_type=PT_NOTE, p_offset=notes_at, p_filesz=len(notes))]
    phdrs[0].p_memsz = len(notes)  # as in Linux, although a PT_NOTE takes no memory
    at = loads_at
    for segment in dump.segments:
        phdrs.append(
            c_elf.Elf64_Phdr(
                p_type=PT_LOAD,
                p_flags=_PF_RWX,
                p_offset=at,
                p_vaddr=segment.paddr if segment.vaddr is None else segment.vaddr,
                p_paddr=segment.paddr,
                p_filesz=0 if segment.left_out else segment.size,
                p_memsz=segment.size,
                p_align=PAGE_SIZE,
            )
        )
        at += _aligned(phdrs[-1].p_filesz)
    head = _header(len(phdrs)).dumps() + b"".join(phdr.dumps() for phdr in phdrs) + notes
    end = max(phdr.p_offset + phdr.p_filesz for phdr in phdrs)
    with SparseFile.create(target, end) as file:
        done = 0
        for segment, phdr in zip(dump.segments, phdrs[1:], strict=True):
            for part in segment.data_ranges(segment.paddr, segment.present_end):
                for address in range(part.start, part.end, CHUNK):
                    data = segment.read(address, min(CHUNK, part.end - address))
                    file.write(phdr.p_offset + address - segment.paddr, data)
                    task.update(done + address - segment.paddr)
            done += segment.size
        file.write(0, head)
        task.update(done)


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
