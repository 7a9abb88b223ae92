"""Changes of notes and headers that other readers insist on, although ours reads the dump."""

from __future__ import annotations

from tests.mutations import changes
from tests.mutations.mutation import Change, Mutation
from tests.mutations.right import VMCOREINFO, Broken, dump
from tests.mutations.unfinished import NOTES_AT

E_VERSION, P_ALIGN = 20, 64 + 48
PRPSINFO = NOTES_AT
PRSTATUS = PRPSINFO + 12 + 8 + 136  # of the first CPU
N_DESCSZ, N_TYPE, OWNER, DESC = 4, 8, 12, 20
PR_PID = PRSTATUS + DESC + 32
_FIRST_PREFIX = dump("elf").index(bytes.fromhex("00000006 00000004 00000305"))
_VMCOREINFO = dump("elf").index(VMCOREINFO) - 24
_PHDRS, _PHDR = 64, 56


def owner(note: int, name: bytes) -> Change:
    """Give a note another owner; the name takes as many bytes with its padding."""

    def change(broken: Broken) -> None:
        changes.field(note, ">I", len(name))(broken)
        at = note + OWNER
        broken.data[at : at + len(name)] = name

    return change


def notes_second(broken: Broken) -> None:
    """Swap the first two program headers."""
    one, two = (slice(at, at + _PHDR) for at in (_PHDRS, _PHDRS + _PHDR))
    broken.data[one], broken.data[two] = broken.data[two], broken.data[one]


MUTATIONS = (
    Mutation(
        "a CPU numbered as another (pr_pid)",
        "elf",
        changes.field(PR_PID, ">I", 2),
        verify="registers",
        check="headers",
        says=("drgn cannot take the registers of CPU 0: pr_pid of NT_PRSTATUS is 2",),
    ),
    Mutation(
        "a CPU not numbered (pr_pid)",
        "elf",
        changes.field(PR_PID, ">I", 0),
        verify="registers",
        check="headers",
        says=("drgn, elfutils cannot take the registers of CPU 0: pr_pid of NT_PRSTATUS is 0",),
    ),
    Mutation(
        "owner of NT_PRSTATUS with its padding (n_namesz)",
        "elf",
        owner(PRSTATUS, b"CORE\0\0\0\0"),
        verify="registers",
        check="headers",
        says=("drgn, elfutils, libkdumpfile cannot take the registers of CPU 0: the owner",),
    ),
    Mutation(
        "owner of NT_PRSTATUS is LINUX",
        "elf",
        owner(PRSTATUS, b"LINUX\0"),
        verify="registers",
        check="headers",
        says=(r"the owner of NT_PRSTATUS is 'LINUX\0', not 'CORE\0'",),
    ),
    Mutation(
        "NT_PRSTATUS short (n_descsz)",
        "elf",
        changes.field(PRSTATUS + N_DESCSZ, ">I", 333),
        verify="registers",
        check="headers",
        says=("elfutils, zgetdump cannot take the registers of CPU 0: NT_PRSTATUS has 333 bytes",),
    ),
    Mutation(
        "NT_PRPSINFO lost (n_type)",
        "elf",
        changes.field(PRPSINFO + N_TYPE, ">I", 0x7FF),
        verify="registers",
        check="headers",
        says=("elfutils cannot take any registers: there is no NT_PRPSINFO",),
    ),
    Mutation(
        "prefix note of a CPU lost (n_type)",
        "elf",
        changes.field(_FIRST_PREFIX + N_TYPE, ">I", 0x7FF),
        verify="registers",
        check="headers",
        compare="registers",
        says=("CPU 0: ELF note 0x305 is missing", "crash cannot take the registers of CPU 0"),
    ),
    Mutation(
        "owner of VMCOREINFO with its padding (n_namesz)",
        "elf",
        owner(_VMCOREINFO, b"VMCOREINFO\0\0"),
        verify="registers",
        check="headers",
        says=("drgn cannot take any registers: the owner of the note of VMCOREINFO",),
    ),
    Mutation(
        "alignment of the notes wrong (p_align)",
        "elf",
        changes.field(P_ALIGN, ">Q", 8),
        verify="registers",
        check="headers",
        says=("drgn, elfutils cannot take any registers: p_align of the PT_NOTE is 8",),
    ),
    Mutation(
        "PT_NOTE is not the first program header",
        "elf",
        notes_second,
        verify="registers",
        check="headers",
        says=("crash cannot take any registers: the first program header",),
    ),
    Mutation(
        "version lost (e_version)",
        "elf",
        changes.field(E_VERSION, ">I", 0),
        verify="registers",
        check="headers",
        says=("crash, libkdumpfile, zgetdump cannot take any registers: e_version is 0",),
    ),
)
