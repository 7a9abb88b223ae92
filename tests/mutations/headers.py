"""Changes of header fields, and of entries of compressed memory."""

from __future__ import annotations

from tests.mutations import changes
from tests.mutations.mutation import NO_DUMP, REFUSED, Mutation
from tests.mutations.right import MIB, dump
from tests.support.evidence import MEMORY, PAGE

IDENTITY = 64 + 2 * 56  # the third program header
P_OFFSET, P_PADDR, P_FILESZ = IDENTITY + 8, IDENTITY + 24, IDENTITY + 32
MEM_SIZE, MEM_END, NUM_PAGES, ARCH = 0x18, 0x28, 0x30, 0x48
SEGMENT = 2 * PAGE + MIB  # header of the first compressed segment
ENTRY_OFFSET = SEGMENT + 0x34
LESS = MEMORY - 16 * PAGE

MUTATIONS = (
    Mutation(
        "byte order wrong (EI_DATA)",
        "elf",
        changes.field(5, ">B", 1),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("foreign: e_ident",),
    ),
    Mutation(
        "machine wrong (e_machine)",
        "elf",
        changes.field(18, ">H", 62),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("offset 18: e_machine is 62",),
    ),
    Mutation(
        "a program header lost (e_phnum)",
        "elf",
        changes.field(56, ">H", 2),
        verify="memory-map",
        check="kernel-log memory-map page-tables prefixes statements vmcoreinfo",
        compare="memory-map",
        says=("covers 0x0-0xfffff",),
    ),
    Mutation(
        "a segment a page higher in memory (p_paddr)",
        "elf",
        changes.field(P_PADDR, ">Q", PAGE),
        verify="memory-map pages",
        check="kernel-log memory-map page-tables prefixes repeats statements vmcoreinfo",
        compare="memory-map pages",
        says=("covers 0x0-0xfff",),
    ),
    Mutation(
        "a segment a page further in the file (p_offset)",
        "elf",
        changes.field(P_OFFSET, ">Q", len(dump("elf")) - LESS - 15 * PAGE),
        verify="dump-file pages",
        check="complete kernel-log page-tables prefixes repeats statements vmcoreinfo",
        compare="pages",
        says=("shifted by -0x1000",),
    ),
    Mutation(
        "the end of a segment left out of the file (p_filesz)",
        "elf",
        changes.field(P_FILESZ, ">Q", LESS),
        verify="pages",
        says=("first difference at 0x3f0",),
    ),
    Mutation(
        "the end of memory left out (p_filesz, p_memsz)",
        "elf",
        changes.field(P_FILESZ, ">2Q", LESS, LESS),
        verify="memory-map",
        compare="memory-map",
        says=("covers 0x3f0000-0x3fffff",),
    ),
    Mutation(
        "memory larger (mem_size)",
        "s390",
        changes.field(MEM_SIZE, ">Q", MEMORY + MIB),
        verify="dump-file memory-map pages",
        check="complete headers",
        compare="memory-map pages",
    ),
    Mutation(
        "memory smaller (mem_size)",
        "s390",
        changes.field(MEM_SIZE, ">Q", MEMORY - MIB),
        verify="dump-file memory-map registers",
        check="complete headers memory-map prefixes psws",
        compare=REFUSED,
    ),
    Mutation(
        "memory larger (mem_size)",
        "s390_ext",
        changes.field(MEM_SIZE, ">Q", MEMORY + MIB),
        verify="dump-file memory-map pages",
        check="headers",
        compare="memory-map",
        says=("mem_end is 0x400000, mem_size 0x500000",),
    ),
    Mutation(
        "end of memory wrong (mem_end)",
        "s390",
        changes.field(MEM_END, ">Q", MEMORY + MIB),
        verify="dump-file",
        check="headers",
        says=("mem_end is 0x500000",),
    ),
    Mutation(
        "number of pages wrong (num_pages)",
        "s390_ext",
        changes.field(NUM_PAGES, ">I", 7),
        verify="dump-file",
        check="headers",
        says=("num_pages is 0x7",),
    ),
    Mutation(
        "memory size byte-swapped (mem_size)",
        "s390",
        changes.reversed_bytes(MEM_SIZE, (8,)),
        verify="dump-file memory-map pages",
        check="complete headers",
        compare="memory-map pages",
    ),
    Mutation(
        "header of a 31-bit system (arch)",
        "s390",
        changes.field(ARCH, ">I", 1),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("offset 0x48: arch is 1",),
    ),
    Mutation(
        "all header fields byte-swapped",
        "s390",
        changes.reversed_bytes(8, (4, 4, 4, 4, 8, 8, 8, 4)),
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("hdr_size is",),
    ),
    Mutation(
        "a compressed entry damaged",
        "s390_ext",
        changes.flipped_in_file(SEGMENT + PAGE + 5000),
        verify="pages vmcoreinfo",
        check="content vmcoreinfo",
        compare=REFUSED,
        says=("0x100000-0x1fffff not compared", "entry at offset"),
    ),
    Mutation(
        "place of an entry wrong (entry_offset)",
        "s390_ext",
        changes.field(ENTRY_OFFSET, ">I", 999),
        verify="pages vmcoreinfo",
        check="content vmcoreinfo",
        compare=REFUSED,
        says=("entry_offset says that entry 0 is from",),
    ),
    Mutation(
        "a compressed entry called raw (entry_offset)",
        "s390_ext",
        changes.field(ENTRY_OFFSET, ">I", 1 << 31),
        verify="pages vmcoreinfo",
        check="content vmcoreinfo",
        compare=REFUSED,
        says=("raw entry at offset",),
    ),
    Mutation(
        "a segment a page higher in memory (start)",
        "s390_ext",
        changes.field(SEGMENT, ">Q", MIB + PAGE),
        verify="dump-file pages registers vmcoreinfo",
        check="complete headers prefixes psws vmcoreinfo",
        compare=REFUSED,
        says=("no last segment (stop_marker)",),
    ),
    Mutation(
        "bits of e_flags inverted, a field that no tool reads",
        "elf",
        changes.flipped_in_file(48),
        verify="superblock",
        check="superblock",
        on_partition=True,
        says=("checksum is 0x",),
    ),
)
