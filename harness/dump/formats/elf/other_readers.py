"""What other readers insist on in the notes of an ELF core or a kdump, and in an ELF's headers.

docs/readers.md has the table, with file and function of each. Sources: crash 9.0.2
(``netdump.c``, ``s390x.c``), drgn 0.3.0 (``libdrgn/program.c``, ``stack_trace.c``), elfutils 0.188
(``libelf/gelf_getnote.c``, ``backends/linux-core-note.c``, ``libdwfl/linux-core-attach.c``),
libkdumpfile (``src/kdumpfile/notes.c``, ``s390x.c``, ``elfdump.c``), s390-tools
(``zdump/dfi_elf.c``, ``df_elf.c``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import TypeVar

from harness.dump.formats.elf.c_elf import EV_CURRENT, NT_PRPSINFO, PT_NOTE
from harness.dump.formats.elf.notes import ElfNote, NoteSegment
from harness.dump.linux import vmcoreinfo_note
from harness.dump.refusal import OtherReader, Refusal
from harness.s390x.notes import CPU_NOTES, NT_PRSTATUS, NT_S390_PREFIX, PR_PID

T = TypeVar("T")
K = TypeVar("K")

CRASH, DRGN, ELFUTILS, LIBKDUMPFILE, ZGETDUMP = OtherReader
_CORE = b"CORE\0"
_PRSTATUS_SIZE = 336  # of struct elf_prstatus; without the padding at its end it is 332
_PRSTATUS_REGISTERS = 328  # up to and with orig_gpr2
_PRPSINFO_SIZE = 136
_PRPSINFO_NAME = 56  # the end of pr_fname
_NO_SIZE = 1 << 47  # no process has as much memory
_WIDE = 8  # the only alignment of notes that is not taken for 4


def made_by_qemu(notes: Iterable[ElfNote]) -> bool:
    """QEMU's dump-guest-memory writes neither note, everything else writes both."""
    return not any(note.type == NT_PRPSINFO or note.name == vmcoreinfo_note.NAME for note in notes)


def of_sections(names: int, *, usual: bool) -> Iterator[Refusal]:
    """About the size of the section names; QEMU writes its section headers little-endian."""
    if names > _NO_SIZE:
        yield Refusal(
            (LIBKDUMPFILE,), f"the section names would take {names:#x} bytes", usual=usual
        )


def of_headers(
    version: int, first: int, segments: Sequence[NoteSegment], memory_at: Sequence[int]
) -> Iterator[Refusal]:
    """About the ELF header and the program headers.

    ``version`` is e_version, ``first`` the p_type of the first program header, and ``memory_at``
    are the p_offset of the others with memory.
    """
    if version != EV_CURRENT:
        why = f"e_version is {version}, not {EV_CURRENT}"
        yield Refusal((CRASH, LIBKDUMPFILE, ZGETDUMP), why)
    if not segments:
        return
    if first != PT_NOTE:
        yield Refusal((CRASH,), "the first program header is not the PT_NOTE")
    elif memory_at:
        end = min(memory_at[0], *(at or memory_at[0] for at in memory_at))
        if segments[0].end > end:
            yield Refusal((CRASH,), f"the notes are behind the memory at offset {end:#x}")
    if len(segments) > 1:
        why = f"there are {len(segments)} PT_NOTE, and only the first counts"
        yield Refusal((CRASH, ELFUTILS), why)
    if any(segment.align == _WIDE for segment in segments):
        why = f"p_align of the PT_NOTE is {_WIDE}, its notes are aligned to 4 bytes"
        yield Refusal((DRGN, ELFUTILS), why)


def of_notes(notes: Sequence[ElfNote], *, elf: bool) -> Iterator[Refusal]:
    """About the notes; some readers read them only in ``elf`` dumps, not in kdumps."""
    status = [note for note in notes if note.is_of_cpu and note.type == NT_PRSTATUS]
    if not status:  # that is a fault in itself
        return
    qemu = made_by_qemu(notes)
    if elf:
        yield from _process(notes, usual=qemu)
        yield from _unpadded(notes)
    yield from _owners(status, elf=elf)
    yield from _sizes(status, elf=elf)
    yield from _pids(status, elf=elf, usual=qemu)
    yield from _strays(notes, elf=elf)
    yield from _groups(notes, elf=elf)
    for note in notes:
        if note.name == vmcoreinfo_note.NAME and note.owner != vmcoreinfo_note.NAME + b"\0":
            why = (
                f"the owner of the note of VMCOREINFO is {_shown(note.owner)}, not ended by one NUL"
            )
            yield Refusal((DRGN,), why)


def _process(notes: Sequence[ElfNote], *, usual: bool) -> Iterator[Refusal]:
    found = next((note for note in notes if note.type == NT_PRPSINFO), None)
    if found is None:
        yield Refusal((ELFUTILS,), "there is no NT_PRPSINFO", usual=usual)
    elif len(found.desc) != _PRPSINFO_SIZE:
        readers = (DRGN, ELFUTILS) if len(found.desc) < _PRPSINFO_NAME else (ELFUTILS,)
        yield Refusal(readers, f"NT_PRPSINFO has {len(found.desc)} bytes, not {_PRPSINFO_SIZE}")


def _unpadded(notes: Sequence[ElfNote]) -> Iterator[Refusal]:
    for note in notes:
        if note.name == vmcoreinfo_note.NAME and not note.padded:
            why = "the PT_NOTE ends before the padding of its last note, that of VMCOREINFO"
            yield Refusal((DRGN,), why)


def _owners(status: Sequence[ElfNote], *, elf: bool) -> Iterator[Refusal]:
    for owner, cpus in _together(status, lambda note: note.owner):
        readers = [DRGN] if owner != _CORE else []
        if elf and owner not in (_CORE, b"CORE", b"LINUX", b"LINUX\0"):
            readers.append(ELFUTILS)
        if owner not in (_CORE, b"CORE"):
            readers.append(LIBKDUMPFILE)
        if readers:
            why = f"the owner of NT_PRSTATUS is {_shown(owner)}, not {_shown(_CORE)}"
            yield Refusal(tuple(readers), why, cpus)


def _sizes(status: Sequence[ElfNote], *, elf: bool) -> Iterator[Refusal]:
    for size, cpus in _together(status, lambda note: len(note.desc)):
        readers = [ELFUTILS] if elf and size != _PRSTATUS_SIZE else []
        if size < _PRSTATUS_REGISTERS:
            readers.append(LIBKDUMPFILE)
        if elf and size < _PRSTATUS_SIZE:
            readers.append(ZGETDUMP)
        if readers:
            why = f"NT_PRSTATUS has {size} bytes, not {_PRSTATUS_SIZE}"
            yield Refusal(tuple(readers), why, cpus)


def _pids(status: Sequence[ElfNote], *, elf: bool, usual: bool) -> Iterator[Refusal]:
    """The number by which drgn finds a CPU, from 1 on."""
    pids = [
        struct.unpack_from(">I", note.desc.ljust(PR_PID + 4, b"\0"), PR_PID)[0] for note in status
    ]
    wrong = [number for number, pid in enumerate(pids) if pid != number + 1]
    if not wrong:
        return
    if all(
        pid == int.from_bytes((at + 1).to_bytes(4, "little"), "big") for at, pid in enumerate(pids)
    ):
        yield Refusal((DRGN,), "pr_pid of NT_PRSTATUS is byte-swapped", tuple(wrong), usual)
        return
    plugged = usual and pids == sorted({*pids} - {0})  # QEMU's CPUs may have gaps between them
    for pid, cpus in _together([pids[number] for number in wrong], lambda pid: pid):
        lost = tuple(wrong[at] for at in cpus)
        readers = (DRGN, ELFUTILS) if elf and pid == 0 else (DRGN,)
        why = f"pr_pid of NT_PRSTATUS is {pid}, not the CPU's number from 1 on"
        yield Refusal(readers, why, lost, plugged)


def _strays(notes: Sequence[ElfNote], *, elf: bool) -> Iterator[Refusal]:
    """Two readers look at the type alone."""
    readers = (CRASH, ZGETDUMP) if elf else (CRASH,)
    before = takewhile(lambda note: note.type != NT_PRSTATUS, notes)
    for note in before:
        if note.type in CPU_NOTES:
            yield Refusal(readers, f"the note {note.type:#x} comes before the first NT_PRSTATUS")
            break
    for note in notes:
        if note.type in CPU_NOTES and not note.is_of_cpu:
            why = f"a note of {_shown(note.owner)} has the type of registers, {note.type:#x}"
            yield Refusal(readers, why)
            break
    for note in notes:
        if not note.owner and note.desc and elf:
            yield Refusal((CRASH,), f"a note without an owner has {len(note.desc)} bytes")
            break


def _groups(notes: Sequence[ElfNote], *, elf: bool) -> Iterator[Refusal]:
    """Crash finds a CPU by its prefix; the last of several notes counts for it and zgetdump."""
    groups: list[dict[int, bytes]] = []
    again: dict[int, list[int]] = {}
    for note in notes:
        if not note.is_of_cpu or note.type not in CPU_NOTES:
            continue
        if note.type == NT_PRSTATUS:
            groups.append({})
        if groups and groups[-1].setdefault(note.type, note.desc) != note.desc:
            again.setdefault(note.type, []).append(len(groups) - 1)
    without = tuple(at for at, group in enumerate(groups) if NT_S390_PREFIX not in group)
    if without:
        yield Refusal((CRASH,), f"the note {NT_S390_PREFIX:#x} (prefix) is missing", without)
    for kind, cpus in again.items():
        readers = (CRASH, ZGETDUMP) if elf else (CRASH,)
        why = f"there are several notes {kind:#x}, and the last counts"
        yield Refusal(readers, why, tuple(dict.fromkeys(cpus)))


def _together(items: Sequence[T], key: Callable[[T], K]) -> list[tuple[K, tuple[int, ...]]]:
    """Each key, and the positions of the items that have it."""
    found: dict[K, list[int]] = {}
    for number, item in enumerate(items):
        found.setdefault(key(item), []).append(number)
    return [(each, tuple(numbers)) for each, numbers in found.items()]


def _shown(owner: bytes) -> str:
    return repr(owner[:32])[1:].replace("\\x00", "\\0")
