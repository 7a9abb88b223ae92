"""Changes of what the kernel says several times of itself, in its crash or in the dump alone."""

from __future__ import annotations

from tests.mutations import changes
from tests.mutations.mutation import Mutation
from tests.mutations.right import MIB, STORED
from tests.support.evidence import IDENTITY_BASE, IMAGE, IMAGE_VADDR, OS_INFO_POINTER, PAGE
from tests.support.kernels.crashed_kernel import (
    AMODE31,
    IDENTITY_SEGMENTS,
    KERNEL_ASCE,
    OS_INFO,
    PREFIXES,
    ROOT,
    TEXT_OFFSET,
    virtual,
)

IMAGE_HEADER, IDENTITY_HEADER = 64 + 56, 64 + 2 * 56  # the second and third program header
P_VADDR, P_MEMSZ = 16, 40
OFFSET = IMAGE_VADDR - TEXT_OFFSET
_CRS = (*STORED[1].crs[:13], STORED[1].crs[13] ^ 1 << 20, *STORED[1].crs[14:])

MUTATIONS = (
    Mutation(
        "the kernel's KERNELOFFSET wrong",
        "elf",
        changes.of_crash(lines={"KERNELOFFSET": OFFSET + MIB}),
        verify="statements",
        check="page-tables statements",
        compare="pages vmcoreinfo",
        says=("KERNELOFFSET: 0x3ffe0000000 (VMCOREINFO), 0x3ffdff00000 (os_info)",),
    ),
    Mutation(
        "the kernel's KERNELOFFSET wrong",
        "s390_ext",
        changes.of_crash(lines={"KERNELOFFSET": OFFSET + MIB}),
        verify="statements",
        check="page-tables statements",
        compare="pages vmcoreinfo",
        says=(
            "_stext, absolute: 0x0 (KERNELOFFSET, KERNELOFFPHYS), 0x100000 (os_info, page tables)",
        ),
    ),
    Mutation(
        "the kernel's KERNELOFFPHYS wrong",
        "s390",
        changes.of_crash(lines={"KERNELOFFPHYS": MIB}),
        verify="statements",
        check="page-tables statements",
        compare="pages vmcoreinfo",
        says=("swapper_pg_dir, absolute: 0x210000 (KERNELOFFSET, KERNELOFFPHYS), 0x110000",),
    ),
    Mutation(
        "the kernel's IDENTITYBASE wrong",
        "s390",
        changes.of_crash(lines={"IDENTITYBASE": IDENTITY_BASE + MIB}),
        verify="statements",
        check="statements",
        compare="pages vmcoreinfo",
        says=(
            "lowcore at 0x2a00302000, absolute: 0x202000 (IDENTITYBASE), 0x302000 (page tables)",
        ),
    ),
    Mutation(
        "the kernel's SAMODE31 wrong",
        "elf",
        changes.of_crash(lines={"SAMODE31": AMODE31[0] + PAGE}),
        verify="statements",
        check="statements",
        compare="pages vmcoreinfo",
        says=("SAMODE31: 0x3f1000 (VMCOREINFO), 0x3f0000 (os_info)",),
    ),
    Mutation(
        "the kernel's EAMODE31 wrong",
        "s390",
        changes.of_crash(lines={"EAMODE31": AMODE31[1] + PAGE}),
        verify="statements",
        check="statements",
        compare="pages vmcoreinfo",
        says=("EAMODE31: 0x3f3000 (VMCOREINFO), 0x3f2000 (os_info)",),
    ),
    Mutation(
        "the kernel's SYMBOL(_stext) wrong",
        "s390",
        changes.of_crash(lines={"SYMBOL(_stext)": virtual(IMAGE[0] + PAGE)}),
        verify="statements",
        check="statements",
        compare="pages vmcoreinfo",
        says=("_stext, virtual: 0x3ffe0001000 (VMCOREINFO), 0x3ffe0000000 (os_info)",),
    ),
    Mutation(
        "the kernel's SYMBOL(swapper_pg_dir) wrong",
        "s390",
        changes.of_crash(lines={"SYMBOL(swapper_pg_dir)": virtual(ROOT + PAGE)}),
        verify="statements",
        check="kernel-log page-tables statements vmcoreinfo",
        compare="pages vmcoreinfo",
        says=("swapper_pg_dir, absolute: 0x111000 (KERNELOFFSET, KERNELOFFPHYS)",),
    ),
    Mutation(
        "the kernel's os_info has another place of its image",
        "s390",
        changes.of_crash(image_phys=IMAGE[0] + MIB),
        verify="statements",
        check="statements",
        compare="pages",
        says=("_stext, absolute: 0x100000 (KERNELOFFSET, KERNELOFFPHYS), 0x200000 (os_info)",),
    ),
    Mutation(
        "the kernel's os_info has another size of its image",
        "elf",
        changes.of_crash(image_end=IMAGE_VADDR + MIB),
        verify="memory-map",
        check="statements",
        compare="pages",
        says=("size of the image: 0x100000 (os_info), 0x40000 (PT_LOAD)",),
    ),
    Mutation(
        "one bit of os_info flipped",
        "s390",
        changes.flipped(OS_INFO + 100, 1),
        verify="pages",
        check="statements",
        compare="pages",
        says=("os_info: 0x128000 (absolute lowcore), no valid os_info is there (memory)",),
    ),
    Mutation(
        "the kernel's pointer to os_info is a virtual address",
        "elf",
        changes.of_crash(memory=[(OS_INFO_POINTER, virtual(OS_INFO))]),
        verify="statements",
        check="statements",
        compare="pages",
        says=(
            "os_info: 0x3ffe0028000 (absolute lowcore), has no memory at 0x3ffe0028000 (memory)",
        ),
    ),
    Mutation(
        "ASCE of a CPU changed (control register 13)",
        "elf",
        changes.second_cpu(crs=_CRS),
        verify="registers",
        check="statements",
        compare="registers",
        says=(
            "0x110000 (KERNELOFFSET, KERNELOFFPHYS, control register 13 of CPU 0), 0x10000 (con",
        ),
    ),
    Mutation(
        "ASCE lost in a lowcore",
        "s390",
        changes.memory(PREFIXES[1] + KERNEL_ASCE, bytes(8)),
        verify="pages",
        check="statements",
        compare="pages",
        says=("not in the lowcore at 0x302000 (lowcore of CPU 1)",),
    ),
    Mutation(
        "the kernel's page tables map lowcores elsewhere",
        "elf",
        changes.of_crash(memory=[(IDENTITY_SEGMENTS + 3 * 8, 0x200400)]),
        verify="statements",
        check="prefixes statements",
        compare="pages",
        says=(
            "lowcore at 0x2a00300000, absolute: 0x300000 (IDENTITYBASE), 0x200000 (page tables)",
        ),
    ),
    Mutation(
        "image at another virtual address (p_vaddr)",
        "elf",
        changes.field(IMAGE_HEADER + P_VADDR, ">Q", IMAGE_VADDR + PAGE),
        verify="memory-map",
        check="statements",
        says=("_stext, virtual: 0x3ffe0000000 (VMCOREINFO, os_info), 0x3ffe0001000 (PT_LOAD)",),
    ),
    Mutation(
        "all memory at another virtual address (p_vaddr)",
        "elf",
        changes.field(IDENTITY_HEADER + P_VADDR, ">Q", 0),
        verify="memory-map",
        check="statements",
        says=("IDENTITYBASE: 0x2a00000000 (VMCOREINFO, os_info), 0x0 (PT_LOAD)",),
    ),
)
