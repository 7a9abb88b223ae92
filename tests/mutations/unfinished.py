"""Dumps that are truncated or were not written to their end."""

from __future__ import annotations

import struct

from tests.mutations import changes
from tests.mutations.headers import SEGMENT
from tests.mutations.mutation import NO_DUMP, REFUSED, Mutation
from tests.mutations.right import MIB, dump, dumped_memory
from tests.support.dumps import s390
from tests.support.evidence import PAGE

NOTES_AT = 64 + 3 * 56  # behind ELF header and program headers
OLDER_TOD = s390.TOD - 1


def older(form: str) -> bytes:
    """An older dump of the same size, with other memory."""
    data = dump(form, dumped_memory(form)[::-1])
    return data if form == "elf" else data[:-8] + struct.pack(">Q", OLDER_TOD)


MUTATIONS = (
    Mutation(
        "cut in the ELF header",
        "elf",
        changes.cut(40),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("less than an ELF header",),
    ),
    Mutation(
        "cut in the program headers",
        "elf",
        changes.cut(100),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("truncated: program header",),
    ),
    Mutation(
        "cut in the notes",
        "elf",
        changes.cut(NOTES_AT + 1000),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("truncated: the notes end at",),
    ),
    Mutation(
        "cut in memory",
        "elf",
        changes.cut(-3 * PAGE),
        verify="dump-file pages",
        check="complete",
        compare="pages",
        says=("0x3fd000-0x3fffff not compared",),
    ),
    Mutation(
        "cut in the header",
        "s390",
        changes.cut(0x700),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("truncated: s390 dump header",),
    ),
    Mutation(
        "cut in memory",
        "s390",
        changes.cut(-3 * PAGE - 16),
        verify="dump-file pages",
        check="complete",
        compare="pages",
        says=("0x3fd000-0x3fffff not compared",),
    ),
    Mutation(
        "cut in a segment header",
        "s390_ext",
        changes.cut(SEGMENT + 20),
        verify="dump-file pages registers vmcoreinfo",
        check="complete headers prefixes psws vmcoreinfo",
        compare=REFUSED,
        says=("no last segment",),
    ),
    Mutation(
        "cut in a compressed segment",
        "s390_ext",
        changes.cut(SEGMENT + 3 * PAGE),
        verify="dump-file pages registers vmcoreinfo",
        check="complete headers prefixes psws vmcoreinfo",
        compare=REFUSED,
    ),
    Mutation(
        "end marker missing",
        "s390",
        changes.cut(-16),
        verify="dump-file",
        check="complete",
        says=("no end marker (DUMP_END)",),
    ),
    Mutation(
        "end marker missing",
        "s390_ext",
        changes.cut(-16),
        verify="dump-file",
        check="complete",
        says=("no end marker (DUMP_END)",),
    ),
    Mutation(
        "end marker of an older dump",
        "s390",
        changes.field(-8, ">Q", OLDER_TOD),
        verify="dump-file",
        check="complete",
        says=("is an older dump's",),
    ),
    Mutation(
        "end marker of an older dump",
        "s390_ext",
        changes.field(-8, ">Q", OLDER_TOD),
        verify="dump-file",
        check="complete",
        says=("is an older dump's",),
    ),
    Mutation(
        "stop marker of the last segment missing",
        "s390_ext",
        changes.stop_marker_lost,
        verify="dump-file",
        check="complete",
        says=("no last segment (stop_marker)",),
    ),
    Mutation(
        "the first page not written (busy marker)",
        "elf",
        changes.never_begun,
        verify=f"{NO_DUMP} superblock",
        check=REFUSED,
        compare=REFUSED,
        on_partition=True,
        says=("begun and never finished",),
    ),
    Mutation(
        "half of the dump written over an older dump",
        "elf",
        changes.onto_older(older("elf"), 2 * MIB),
        verify="pages",
        check="kernel-log page-tables prefixes statements vmcoreinfo",
        compare="pages",
        on_partition=True,
    ),
    Mutation(
        "half of the dump written over an older dump",
        "s390",
        changes.onto_older(older("s390"), 2 * MIB),
        verify="dump-file pages registers",
        check="complete headers kernel-log page-tables prefixes statements vmcoreinfo",
        compare="pages registers",
        on_partition=True,
        says=("is an older dump's",),
    ),
    Mutation(
        "half of the dump written over an older dump",
        "s390_ext",
        changes.onto_older(older("s390_ext"), SEGMENT),
        verify="dump-file pages registers vmcoreinfo",
        check="complete headers prefixes vmcoreinfo",
        compare="pages registers vmcoreinfo",
        on_partition=True,
        says=("is an older dump's",),
    ),
)
