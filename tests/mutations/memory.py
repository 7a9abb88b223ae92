"""Changes of memory pages."""

from __future__ import annotations

from tests.mutations import changes
from tests.mutations.mutation import NO_DUMP, REFUSED, Mutation
from tests.mutations.right import dump, dumped_memory
from tests.support.evidence import IMAGE, PAGE
from tests.support.kernels.crashed_kernel import IMAGE_SEGMENTS, PREFIXES, RING

VICTIM, OTHER = 0x180000, 0x188000  # pages outside of kernel image and holes
EMPTY = 0x250000  # a page that is all zero

MUTATIONS = (
    Mutation(
        "one byte of a data page inverted",
        "elf",
        changes.flipped(VICTIM + 0x123),
        verify="pages",
        compare="pages",
        says=("page 0x180000", "at 0x180123"),
    ),
    Mutation(
        "one bit of a data page flipped",
        "s390",
        changes.flipped(VICTIM + 0x123, 0x10),
        verify="pages",
        compare="pages",
        says=("at 0x180123",),
    ),
    Mutation(
        "two pages swapped",
        "elf",
        changes.swapped(VICTIM, OTHER),
        verify="pages",
        compare="pages",
        says=(
            "that of page 0x188000 (shifted by -0x8000)",
            "that of page 0x180000 (shifted by +0x8000)",
        ),
    ),
    Mutation(
        "eight pages shifted by one page",
        "s390",
        changes.copied(VICTIM - PAGE, VICTIM, 8 * PAGE),
        verify="pages",
        compare="pages",
        says=("8 of 1024 pages differ", "that of page 0x17f000 (shifted by +0x1000)"),
    ),
    Mutation(
        "a page also written over the next page",
        "elf",
        changes.copied(VICTIM, VICTIM + PAGE),
        verify="pages",
        compare="pages",
        says=("that of page 0x180000 (shifted by +0x1000)",),
    ),
    Mutation(
        "a hole instead of a data page",
        "elf",
        changes.memory(VICTIM, bytes(PAGE)),
        verify="pages",
        compare="pages",
        says=("nothing but 0x00",),
    ),
    Mutation(
        "data instead of a hole",
        "elf",
        changes.memory(EMPTY, b"\1"),
        verify="pages",
        compare="pages",
        says=("page 0x250000",),
    ),
    Mutation(
        "data instead of a hole",
        "s390_ext",
        changes.whole_dump(
            dump("s390_ext", changes.patched(dumped_memory("s390_ext"), EMPTY, b"\1"))
        ),
        verify="pages",
        compare="pages",
        says=("page 0x250000",),
    ),
    Mutation(
        "the second half of a page never written",
        "s390",
        changes.memory(VICTIM + PAGE // 2, bytes(PAGE // 2)),
        verify="pages",
        compare="pages",
        says=("at 0x180800",),
    ),
    Mutation(
        "one byte inverted in one of two copies of the kernel image",
        "elf",
        changes.flipped(IMAGE[0] - IMAGE[1]),
        verify="pages",
        check="repeats",
        compare="pages",
        says=("page 0x100000",),
    ),
    Mutation(
        "a hole in the kernel's page tables",
        "elf",
        changes.memory(IMAGE_SEGMENTS + 0x3000, bytes(PAGE)),
        verify="pages",
        check="kernel-log page-tables vmcoreinfo",
        compare="pages",
    ),
    Mutation(
        "a hole in the kernel's log",
        "s390",
        changes.memory(RING, bytes(PAGE)),
        verify="pages",
        check="kernel-log",
        compare="pages",
        says=("prb_desc_ring.count_bits",),
    ),
    Mutation(
        "a hole instead of a CPU's lowcore",
        "elf",
        changes.memory(PREFIXES[1], bytes(PAGE)),
        verify="pages",
        check="prefixes statements",
        compare="pages",
        says=("no lowcore at 0x302000",),
    ),
    Mutation(
        "all memory zero, headers right",
        "elf",
        changes.zero_memory,
        verify="pages",
        check="content kernel-log page-tables prefixes repeats statements vmcoreinfo",
        compare="pages",
        says=("all 1024 pages are zero",),
    ),
    Mutation(
        "the whole file zero, with the right size",
        "elf",
        changes.zero_file,
        verify=NO_DUMP,
        check=REFUSED,
        compare=REFUSED,
        says=("first page, which is written last, never was",),
    ),
    Mutation(
        "the whole dump zero",
        "s390",
        changes.zero_file,
        verify=f"{NO_DUMP} superblock",
        check=REFUSED,
        compare=REFUSED,
        on_partition=True,
    ),
)
