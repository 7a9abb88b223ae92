"""What the crashed kernel says several times of itself: who says what, and who says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dump.formats.elf.reader import ElfDump
from harness.dump.linux.statements import Loads, Statements
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.limits import Limits
from tests.support.dumps.alone import OtherDump, segment
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import IMAGE, IMAGE_VADDR, MEMORY, OS_INFO_POINTER, VMCORE_INFO_POINTER
from tests.support.kernels.crashed_kernel import (
    ASCE,
    IMAGE_SEGMENTS,
    LOWCORE_PTR,
    OS_INFO,
    PREFIXES,
    ROOT,
    CrashedKernel,
    in_kernel,
    put,
    vmcoreinfo,
)


def dump_of(crashed: CrashedKernel, *changes: tuple[int, int]) -> Dump:
    memory = crashed.memory()
    for at, value in changes:
        put(memory, at, ">Q", value)
    return ElfDump(Memory(crashed.elf(memory), "some.elf"))


def with_note(pattern: str, by: str = "") -> CrashedKernel:
    text, count = re.subn(pattern.encode(), by.encode(), vmcoreinfo())
    assert count
    return CrashedKernel(vmcoreinfo=text)


def contradictions(dump: Dump, loads: Loads | None = None) -> list[str]:
    return [str(each) for each in Statements(dump, loads) if each.contradicts]


def silent(dump: Dump) -> tuple[str, ...]:
    statements = Statements(dump, None)
    assert list(statements)
    return statements.silent


def test_a_kernel_that_does_not_contradict_itself():
    statements = Statements(dump_of(CrashedKernel()), None)
    told = {each.of: [party.by for party in each.told] for each in statements}
    cpus = ["control register 13 of CPU 0", "control register 13 of CPU 1"]
    assert told == {
        "os_info": ["absolute lowcore", "memory"],
        **{
            name: ["VMCOREINFO", "os_info"]
            for name in ("KERNELOFFSET", "KERNELOFFPHYS", "IDENTITYBASE", "SAMODE31", "EAMODE31")
        },
        "SAMODE31, absolute": ["VMCOREINFO", "page tables"],
        "_stext, virtual": ["VMCOREINFO", "os_info"],
        "_stext, absolute": ["KERNELOFFSET, KERNELOFFPHYS", "os_info", "page tables"],
        "swapper_pg_dir, absolute": ["KERNELOFFSET, KERNELOFFPHYS", "page tables", *cpus],
        "the kernel's ASCE": ["control registers", "lowcore of CPU 0", "lowcore of CPU 1"],
        "lowcore at 0x2a00300000, absolute": ["IDENTITYBASE", "page tables"],
        "lowcore at 0x2a00302000, absolute": ["IDENTITYBASE", "page tables"],
    }
    assert not any(each.contradicts for each in statements)
    assert statements.silent == ()


def test_before_linux_6_10_the_image_is_linked_to_1_mib():
    """KERNELOFFSET is what was added to that."""
    kernel = with_note(r"KERNELOFFPHYS=\w+\n")
    right = f"_stext, virtual: {IMAGE_VADDR:#x} (VMCOREINFO, os_info, KERNELOFFSET)"
    assert right in {str(each) for each in Statements(dump_of(kernel), None)}
    kernel.vmcoreinfo = re.sub(rb"KERNELOFFSET=\w+", b"KERNELOFFSET=0", kernel.vmcoreinfo)
    wrong = f"_stext, virtual: {IMAGE_VADDR:#x} (VMCOREINFO, os_info), 0x100000 (KERNELOFFSET)"
    assert wrong in contradictions(dump_of(kernel))
    assert "KERNELOFFPHYS: Linux before 6.10 does not tell it" in silent(dump_of(kernel))


SILENT: dict[str, tuple[Callable[[], Dump], str]] = {
    "os_info without layout": (
        lambda: dump_of(CrashedKernel(layout={"kaslr_offset": 0})),
        "os_info: does not tell where the kernel is (Linux before 6.10)",
    ),
    "no os_info": (
        lambda: dump_of(CrashedKernel(), (OS_INFO_POINTER, 0)),
        "os_info: the absolute lowcore does not name it",
    ),
    "old kernel": (
        lambda: dump_of(with_note("OSRELEASE=6.12.1", "OSRELEASE=3.12.74")),
        "control register 13: Linux before 3.15 uses it in another way",
    ),
    "CPU reset": (
        lambda: with_second_cpu(in_kernel(CrashedKernel().cpus[1], 0).crs),
        "CPU 1: control register 13 is zero: it was reset",
    ),
    "memory left out": (
        lambda: OtherDump(
            [segment(0, PREFIXES[1]), segment(PREFIXES[1] + 0x2000, MEMORY)], why="x"
        ),
        "lowcore of CPU 1: has no memory at 0x302000",
    ),
}


def with_second_cpu(crs: tuple[int, ...]) -> Dump:
    crashed = CrashedKernel()
    crashed.cpus[1] = replace(crashed.cpus[1], crs=crs)
    return dump_of(crashed)


@pytest.mark.parametrize("name", SILENT)
def test_who_says_nothing_contradicts_nobody(name: str):
    make, why = SILENT[name]
    assert why in silent(make())
    assert contradictions(make()) == []


def test_memory_that_a_whole_dump_lacks_is_a_contradiction():
    whole = OtherDump([segment(0, PREFIXES[1]), segment(PREFIXES[1] + 0x2000, MEMORY)])
    assert contradictions(whole) == [
        f"the kernel's ASCE: {ASCE:#x} (control registers, lowcore of CPU 0), "
        "has no memory at 0x302000 (lowcore of CPU 1)"
    ]


def test_tables_are_found_if_the_kernel_is_wrong_about_their_place():
    kernel = with_note(r"KERNELOFFPHYS=\w+", "KERNELOFFPHYS=100000")
    assert contradictions(dump_of(kernel)) == [
        "KERNELOFFPHYS: 0x100000 (VMCOREINFO), 0x0 (os_info)",
        "_stext, absolute: 0x200000 (KERNELOFFSET, KERNELOFFPHYS), 0x100000 (os_info, page tables)",
        "swapper_pg_dir, absolute: 0x210000 (KERNELOFFSET, KERNELOFFPHYS), 0x110000 (page tables, "
        "control register 13 of CPU 0, control register 13 of CPU 1)",
    ]


def test_without_vmcoreinfo_cpus_lead_to_what_os_info_tells():
    memory = CrashedKernel().memory()
    put(memory, VMCORE_INFO_POINTER, ">Q", 0)
    dump = OtherDump([segment(0, MEMORY, bytes(memory))])
    assert [each.of for each in Statements(dump, None)] == [
        "os_info",
        "_stext, absolute",
        "swapper_pg_dir, absolute",
        "the kernel's ASCE",
    ]
    assert contradictions(dump) == []
    put(memory, IMAGE_SEGMENTS + (IMAGE_VADDR >> 20 & 0x7FF) * 8, ">Q", 0x20)
    (what,) = contradictions(OtherDump([segment(0, MEMORY, bytes(memory))]))
    assert what.startswith("_stext, absolute: 0x100000 (os_info), virtual address 0x3ffe0000000 is")


def test_many_who_say_the_same_are_counted():
    crashed = CrashedKernel()
    crashed.cpus = [replace(crashed.cpus[0], prefix=0x300000 + at * 0x2000) for at in range(8)]
    crashed.cpus[7] = in_kernel(crashed.cpus[7], 0x5007)
    (found,) = contradictions(dump_of(crashed))
    assert (
        "control register 13 of CPU 1 and 5 more), 0x5000 (control register 13 of CPU 7)" in found
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([ROOT, IMAGE_SEGMENTS, OS_INFO, LOWCORE_PTR, 0xE00, *PREFIXES]),
            st.integers(0, 0xFF),
            st.integers(0, (1 << 64) - 1),
        ),
        max_size=4,
    )
)
def test_a_damaged_dump_raises_evidence_error_only(damage: list[tuple[int, int, int]]):
    dump = dump_of(CrashedKernel(), *((at + 8 * word, value) for at, word, value in damage))
    try:
        assert len(list(Statements(dump, None))) < 100
    except EvidenceError as error:
        assert error.message.startswith("some.elf: ")  # noqa: PT017  # only if raised at all


def test_a_dump_can_claim_any_number_of_lowcores():
    """Only as many are asked for as Linux may have CPUs."""
    kernel = with_note(r"LENGTH\(lowcore_ptr\)=\w+", "LENGTH(lowcore_ptr)=99999999")
    memory = kernel.memory()
    for at in range(LOWCORE_PTR, IMAGE[1], 8):
        put(memory, at, ">Q", 0x4001)
    counted = sum(
        each.of.startswith("lowcore") for each in Statements(dump_of_memory(memory), None)
    )
    assert counted == Limits().cpus


def dump_of_memory(memory: bytearray) -> Dump:
    return OtherDump([segment(0, MEMORY, bytes(memory))])
