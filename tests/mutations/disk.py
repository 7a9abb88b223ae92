"""Changes of the disk around the dump, which zipl has prepared."""

from __future__ import annotations

from tests.mutations import changes
from tests.mutations.mutation import NO_DUMP, REFUSED, Mutation
from tests.mutations.right import MIB
from tests.support.evidence import PAGE

MAGIC, VERSION, DUMP_OFFSET, DUMP_SIZE, CSUM = 0, 8, 32, 40, 64

MUTATIONS = (
    Mutation(
        "checksum of the busy marker",
        "elf",
        changes.busy_checksum,
        verify="superblock",
        check="superblock",
        on_partition=True,
        says=("checksum is 0x",),
    ),
    Mutation(
        "checksum wrong",
        "s390",
        changes.superblock_field(CSUM, 1),
        verify="superblock",
        check="superblock",
        on_partition=True,
        says=("checksum is 0x1",),
    ),
    Mutation(
        "magic of the superblock lost",
        "elf",
        changes.superblock_field(MAGIC, 0),
        verify=f"{NO_DUMP} superblock",
        check=REFUSED,
        compare=REFUSED,
        on_partition=True,
        says=("magic is 0x0",),
    ),
    Mutation(
        "version of the superblock wrong",
        "s390_ext",
        changes.superblock_field(VERSION, 2),
        verify="superblock",
        check="superblock",
        on_partition=True,
        says=("version is 2, not 1",),
    ),
    Mutation(
        "superblock cut off, zeros in its place",
        "s390",
        changes.superblock_lost,
        verify=f"{NO_DUMP} superblock",
        check=REFUSED,
        compare=REFUSED,
        on_partition=True,
    ),
    Mutation(
        "too little room for the dump (dump_size)",
        "elf",
        changes.superblock_field(DUMP_SIZE, 2 * MIB),
        verify="dump-file pages",
        check="complete kernel-log page-tables prefixes vmcoreinfo",
        compare="pages",
        on_partition=True,
    ),
    Mutation(
        "too little room for the dump (dump_size)",
        "s390",
        changes.superblock_field(DUMP_SIZE, 2 * MIB),
        verify="dump-file pages registers",
        check="complete headers kernel-log page-tables prefixes psws vmcoreinfo",
        compare=REFUSED,
        on_partition=True,
    ),
    Mutation(
        "place of the dump wrong (dump_offset)",
        "elf",
        changes.superblock_field(DUMP_OFFSET, PAGE),
        verify=f"{NO_DUMP} superblock",
        check=REFUSED,
        compare=REFUSED,
        on_partition=True,
    ),
    Mutation(
        "boot record overwritten",
        "elf",
        changes.wrecked_disk,
        verify=f"{NO_DUMP} superblock",
        check=REFUSED,
        compare=REFUSED,
        on_partition=True,
        says=("no dump superblock any more: broken: offsets 0 and 0x70 hold",),
    ),
)
