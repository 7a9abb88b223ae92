"""Changes of registers, prefixes and VMCOREINFO."""

from __future__ import annotations

from tests.mutations import changes
from tests.mutations.mutation import Mutation
from tests.mutations.right import STORED, VECTORS, VMCOREINFO, dump
from tests.mutations.unfinished import NOTES_AT
from tests.support.evidence import VMCORE_INFO_NOTE, VMCORE_INFO_POINTER, elf_note
from tests.support.kernels.crashed_kernel import PREFIXES

# the PSW in the descriptor of the second note, NT_PRSTATUS; NT_PRPSINFO is the first
PR_PSW = NOTES_AT + 12 + 8 + 136 + 12 + 8 + 112
CPU_CNT, LC_VEC = 0x5D, 0x800
STATUS_PSW = 0x1200 + 0x100
NOWHERE = 0x310000  # zero memory, not a lowcore
OTHER_KERNEL = VMCOREINFO.replace(b"6.12.1-test", b"6.12.2-test")
_FIRST, _SECOND = STORED
_GPRS = tuple(value ^ (number == 7) for number, value in enumerate(_SECOND.gprs))
_VECTORS = (_SECOND.vxrs_high[0] ^ 1 << 100, *_SECOND.vxrs_high[1:])

MUTATIONS = (
    Mutation(
        "a CPU lost",
        "elf",
        changes.with_cpus(_FIRST),
        verify="registers",
        check="prefixes",
        compare="registers",
        says=("CPU 1 (prefix 0x302000) is missing",),
    ),
    Mutation(
        "a CPU lost (cpu_cnt)",
        "s390",
        changes.field(CPU_CNT, ">H", 1),
        verify="registers",
        check="prefixes",
        compare="registers",
        says=("no CPU has the kernel's lowcore at 0x302000",),
    ),
    Mutation(
        "a CPU twice, another lost",
        "elf",
        changes.with_cpus(_FIRST, _FIRST),
        verify="registers",
        check="prefixes",
        compare="registers",
        says=("entry 1 (prefix 0x300000) repeats entry 0",),
    ),
    Mutation(
        "a CPU twice, another lost (lc_vec)",
        "s390",
        changes.field(LC_VEC + 4, ">I", PREFIXES[0]),
        verify="registers",
        check="prefixes",
        compare="registers",
    ),
    Mutation(
        "CPUs in another order",
        "elf",
        changes.with_cpus(_SECOND, _FIRST),
        verify="registers",
        compare="registers",
    ),
    Mutation(
        "prefix of a CPU wrong",
        "elf",
        changes.second_cpu(prefix=NOWHERE),
        verify="registers",
        check="prefixes",
        compare="registers",
        says=("CPU 1: prefix is 00310000 in the dump, 00302000 at the crash",),
    ),
    Mutation(
        "prefix of a CPU wrong (lc_vec)",
        "s390",
        changes.field(LC_VEC + 4, ">I", NOWHERE),
        verify="dump-file registers",
        check="headers",
        compare="registers",
        says=("the prefix is 0x310000 in the header (lc_vec)",),
    ),
    Mutation(
        "prefix of a CPU byte-swapped (lc_vec)",
        "s390",
        changes.reversed_bytes(LC_VEC + 4, (4,)),
        verify="dump-file registers",
        check="headers psws",
        compare="registers",
    ),
    Mutation(
        "a gpr of a CPU changed",
        "elf",
        changes.second_cpu(gprs=_GPRS),
        verify="registers",
        compare="registers",
        says=("CPU 1: gpr7 is",),
    ),
    Mutation(
        "PSW of a CPU changed",
        "s390",
        changes.flipped(PREFIXES[1] + STATUS_PSW + 15, 2),
        verify="pages registers",
        compare="registers",
        says=("CPU 1: PSW address is", "PSW address is stored as"),
    ),
    Mutation(
        "a vector register of a CPU changed",
        "elf",
        changes.second_cpu(vxrs_high=_VECTORS),
        verify="registers",
        compare="registers",
        says=("CPU 1: vr16 is",),
    ),
    Mutation(
        "a vector register of a CPU changed",
        "s390",
        changes.flipped(VECTORS[1] + 0x100),
        verify="pages registers",
        compare="registers",
        says=("CPU 1: vr16 is",),
    ),
    Mutation(
        "PSW and gprs of a CPU byte-swapped",
        "elf",
        changes.reversed_bytes(PR_PSW, (8,) * 18),
        verify="registers",
        check="psws",
        compare="registers",
        says=("CPU 0: no PSW has the mask 00000080",),
    ),
    Mutation(
        "VMCOREINFO lost",
        "elf",
        changes.whole_dump(dump("elf", note=None)),
        verify="vmcoreinfo",
        check="vmcoreinfo",
        compare="vmcoreinfo",
        says=("no VMCOREINFO note; the crashed memory has one",),
    ),
    Mutation(
        "VMCOREINFO of another kernel",
        "elf",
        changes.whole_dump(dump("elf", note=OTHER_KERNEL)),
        verify="vmcoreinfo",
        check="vmcoreinfo",
        compare="vmcoreinfo",
        says=("differs from the one in the crashed memory",),
    ),
    Mutation(
        "pointer to VMCOREINFO lost",
        "s390",
        changes.memory(VMCORE_INFO_POINTER, bytes(8)),
        verify="pages vmcoreinfo",
        check="vmcoreinfo",
        compare="pages vmcoreinfo",
    ),
    Mutation(
        "VMCOREINFO of another kernel",
        "s390",
        changes.memory(VMCORE_INFO_NOTE, elf_note(b"VMCOREINFO", 0, OTHER_KERNEL)),
        verify="pages vmcoreinfo",
        check="vmcoreinfo",
        compare="pages vmcoreinfo",
        says=("OSRELEASE is 6.12.2-test, the kernel in memory says that it is '6.12.1-test'",),
    ),
)
