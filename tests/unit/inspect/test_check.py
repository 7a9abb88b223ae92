"""Check a dump by itself: a right dump is green, and each fault is red."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dump.disk.zipl_superblock import FoundSuperblock, Superblock
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.reader import Dump, Segment
from harness.errors import EvidenceError
from harness.s390x.cpu import DumpedCpu
from harness.verify.checks import memory_map
from tests.support.dumps.alone import (
    CRASHED,
    OtherDump,
    checked,
    read,
    reds,
    said,
    segment,
)
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import (
    IDENTITY,
    IDENTITY_BASE,
    IMAGE,
    KERNEL_IMAGE,
    MEMORY,
    PAGE,
    PART_SIZE,
    PART_START,
    VMCORE_INFO_NOTE,
    VMCORE_INFO_POINTER,
    Load,
    superblock,
    vmcore,
)
from tests.support.kernels.crashed_kernel import (
    DESCS,
    IMAGE_PAGES,
    INFOS,
    PANIC,
    PREFIXES,
    REUSABLE,
    RING,
    ROOT,
    UTS,
    CrashedKernel,
    put,
    virtual,
    vmcoreinfo,
)

ELF = CRASHED.elf()


def test_a_right_dump_is_green():
    results = checked(read(ELF))
    assert reds(results) == set(), said(results)
    assert (
        results["superblock"].skipped_reason == "the file is neither a dump disk nor its partition"
    )
    assert {name: result.compared for name, result in results.items()} == {
        "headers": 4,
        "memory-map": 2,
        "complete": 2,
        "repeats": (IMAGE[1] - IMAGE[0]) // PAGE,
        "superblock": 0,
        "sha256": 0,
        "prefixes": 2,
        "psws": 2,
        "vmcoreinfo": vmcoreinfo().count(b"\n"),
        "page-tables": 5,
        "statements": 19,
        "kernel-log": 3,
        "content": MEMORY // PAGE,
    }
    assert results["kernel-log"].notes == (PANIC,)


def test_a_right_dump_of_another_format_is_green():
    results = checked(OtherDump([segment(0, MEMORY)]))
    assert reds(results) == set(), said(results)


def with_memory(*changes: tuple[int, str, int], **of_kernel: object) -> ElfDump:
    crashed = CrashedKernel(**of_kernel)
    memory = crashed.memory()
    for at, form, value in changes:
        put(memory, at, form, value)
    return read(crashed.elf(memory))


def with_cpu(**changes: int) -> ElfDump:
    """The second CPU is another one than the kernel knows."""
    crashed = CrashedKernel()
    memory = crashed.memory()
    crashed.cpus[1] = replace(crashed.cpus[1], **changes)
    return read(crashed.elf(memory))


def with_loads(*loads: Load) -> ElfDump:
    return read(CrashedKernel(loads=loads).elf())


def with_note(pattern: str, by: str) -> ElfDump:
    text, count = re.subn(pattern.encode(), by.encode(), vmcoreinfo())
    assert count == 1
    return read(CrashedKernel(vmcoreinfo=text).elf())


def without_prefix_note() -> ElfDump:
    note = bytes.fromhex("00000006 00000004 00000305")
    return read(ELF.replace(note, note[:-1] + b"\xff"))


def file_offset_of_image(address: int) -> int:
    """Where the PT_LOAD of the kernel's image has it."""
    return len(ELF) - MEMORY - (IMAGE[1] - address)


def inverted(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


MEMSZ = struct.pack(">2Q", MEMORY, MEMORY)  # p_filesz and p_memsz of all memory
LOW, HIGH = Load(0, 1 << 20, IDENTITY_BASE), Load(2 << 20, 2 << 20, IDENTITY_BASE + (2 << 20))
AT_IMAGE = IMAGE_PAGES + (ROOT - 0x100000 >> 12) * 8
OTHER_NOTE = vmcoreinfo().replace(b"CRASHTIME=1700000000", b"CRASHTIME=1700000001")

# what is wrong -> the dump, the one check that says so, and what it says
WRONG: dict[str, tuple[Callable[[], Dump], str, str]] = {
    "no CPU": (
        lambda: OtherDump([segment(0, MEMORY)], cpus=[]),
        "headers",
        "there is no CPU",
    ),
    "odd segment": (
        lambda: OtherDump([segment(0, 0x1800), segment(0x1800, MEMORY)]),
        "headers",
        "the segment of 0x1800 bytes at 0x0 is not made of whole pages",
    ),
    "empty segment": (
        lambda: OtherDump([segment(0, MEMORY), segment(MEMORY, MEMORY)]),
        "headers",
        "the segment of 0x0 bytes at 0x400000 is empty",
    ),
    "gap": (
        lambda: OtherDump([segment(0, 0x380000), segment(0x3F0000, MEMORY)]),
        "memory-map",
        "no segment covers 0x380000-0x3effff",
    ),
    "overlap": (
        lambda: with_loads(IDENTITY, replace(LOW, paddr=1 << 20, vaddr=IDENTITY_BASE + (1 << 20))),
        "memory-map",
        "PT_LOADs overlap at 0x100000-0x1fffff",
    ),
    "truncated": (
        lambda: read(ELF[:-0x2800]),
        "complete",
        "truncated: of memory 0x0-0x3fffff only what is below 0x3fd800 is there",
    ),
    "not written to its end": (
        lambda: OtherDump([segment(0, MEMORY)], why="the end marker is missing"),
        "complete",
        "the end marker is missing",
    ),
    "prefix not aligned": (
        lambda: with_cpu(prefix=PREFIXES[1] + PAGE),
        "prefixes",
        "CPU 1: prefix 0x303000 is not a multiple of 0x2000",
    ),
    "prefix shared": (
        lambda: with_cpu(prefix=PREFIXES[0]),
        "prefixes",
        "CPU 1: prefix 0x300000 is that of CPU 0",
    ),
    "prefix beyond memory": (
        lambda: with_cpu(prefix=MEMORY),
        "prefixes",
        "CPU 1: prefix 0x400000 is not all in the dump's memory",
    ),
    "prefix of nobody": (
        lambda: with_cpu(prefix=0x310000),
        "prefixes",
        "prefix 0x310000 is none of the kernel's lowcores (lowcore_ptr): 0x300000, 0x302000",
    ),
    "no lowcore: addressing mode": (
        lambda: with_memory((PREFIXES[1] + 0x1D0, ">Q", 0x0404C00080000000)),
        "prefixes",
        "CPU 1: no lowcore at 0x302000: its program new PSW is 0404c00080000000",
    ),
    "no lowcore: zeros": (
        lambda: with_memory((PREFIXES[0] + 0x1A0, ">Q", 0)),
        "prefixes",
        "CPU 0: no lowcore at 0x300000: its restart new PSW",
    ),
    "no lowcore: odd address": (
        lambda: with_memory((PREFIXES[0] + 0x1F8, ">Q", 1)),
        "prefixes",
        "its I/O new PSW",
    ),
    "CPU lost": (
        lambda: read(vmcore(CRASHED.memory(), [CRASHED.cpus[0]], vmcoreinfo=vmcoreinfo())),
        "prefixes",
        "no CPU has the kernel's lowcore at 0x302000 (lowcore_ptr) as prefix",
    ),
    "PSW byte-swapped": (
        lambda: with_cpu(psw_mask=0x00000080_01C00404),
        "psws",
        "CPU 1: no PSW has the mask 0000008001c00404",
    ),
    "PSW without an addressing mode": (
        lambda: with_cpu(psw_mask=1 << 32),
        "psws",
        "CPU 1: no PSW has the mask 0000000100000000",
    ),
    "image not the same twice": (
        lambda: read(inverted(ELF, file_offset_of_image(0x120123))),
        "repeats",
        "page 0x120000 is not the same in both segments that have it, from 0x120123 on",
    ),
    "segment not all in the file": (
        lambda: read(ELF.replace(MEMSZ, MEMSZ[:8] + struct.pack(">Q", MEMORY - PAGE))),
        "headers",
        "the PT_LOAD at 0x0 has 0x400000 bytes in the file (p_filesz), 0x3ff000 in memory",
    ),
    "no page size": (
        lambda: with_note("PAGESIZE=4096", "PAGESIZE=8192"),
        "vmcoreinfo",
        "VMCOREINFO has no line PAGESIZE=4096",
    ),
    "note is not in memory": (
        lambda: with_memory((VMCORE_INFO_POINTER, ">Q", 0)),
        "vmcoreinfo",
        "the absolute lowcore points to no VMCOREINFO note",
    ),
    "note is another one": (
        lambda: with_memory((VMCORE_INFO_NOTE + 40, ">B", ord("!"))),
        "vmcoreinfo",
        "is not the one in memory",
    ),
    "another kernel": (
        lambda: with_memory((UTS + 4 + 130, ">B", ord("5"))),
        "vmcoreinfo",
        "OSRELEASE is 6.12.1-test, the kernel in memory says that it is '5.12.1-test'",
    ),
    "symbol elsewhere": (
        lambda: with_memory((AT_IMAGE, ">Q", 0x111000)),
        "page-tables",
        "swapper_pg_dir (0x3ffe0010000) is mapped to 0x111000, the kernel's image has 0x110000",
    ),
    "symbol not mapped": (
        lambda: with_memory((AT_IMAGE, ">Q", 0x400)),
        "page-tables",
        "swapper_pg_dir: some.elf: virtual address 0x3ffe0010000 is not mapped",
    ),
    "log ring": (
        lambda: with_memory((RING, ">I", 77)),
        "kernel-log",
        "prb_desc_ring.count_bits is 77",
    ),
    "log order": (
        lambda: with_memory((INFOS + 88 * 6, ">Q", 0)),
        "kernel-log",
        "record 0 follows record 0",
    ),
    "log empty": (
        lambda: with_memory(*((DESCS + 24 * at, ">Q", REUSABLE << 62 | at) for at in (5, 6, 7))),
        "kernel-log",
        "compared no records at all",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_one_check_says_what_is_wrong(name: str):
    make, check, message = WRONG[name]
    results = checked(make())
    assert reds(results) == {check}, said(results)
    assert message in said(results)


def test_a_cpu_without_all_its_notes():
    results = checked(without_prefix_note())
    assert reds(results) == {"headers"}
    assert results["prefixes"].skipped_reason == "the dump has no prefix of any CPU"
    assert "CPU 0: ELF note 0x305 is missing" in said(results)


def test_a_cpu_without_prefix_may_own_a_lowcore():
    first, second = CRASHED.cpus
    partial = replace(DumpedCpu(**vars(second)), prefix=None)
    memory = [segment(0, MEMORY)]
    result = checked(OtherDump(memory, cpus=(first, partial)))["prefixes"]
    assert result.passed
    assert result.notes == ("CPU 1: the dump does not have its prefix",)


def test_a_cpu_that_was_never_started_is_noted():
    results = checked(with_cpu(prefix=0))
    assert results["prefixes"].notes == ("CPU 1 has prefix 0: it was never started",)
    assert reds(results) == set()


def test_a_segment_beyond_64_bits():
    far = Segment((1 << 64) - PAGE, 2 * PAGE, Memory(bytes(PAGE), "other"))
    results = checked(OtherDump([segment(0, MEMORY), far]))
    assert "passes the end of 64-bit addresses" in said({"": results["headers"]})


def test_gaps_are_no_fault_where_pages_are_left_out():
    parts = [segment(0, 0x380000), segment(0x3F0000, MEMORY)]
    results = checked(OtherDump(parts, form="kdump"))
    assert results["memory-map"].passed
    assert results["memory-map"].notes == ("1 gaps, where pages were left out",)


def test_many_faults_of_a_kind_are_summed_up():
    parts = [segment(at, at + 0x800) for at in range(0, 0x20000, 0x1000)]
    results = checked(OtherDump(parts))
    assert len(results["headers"].findings) == 17
    assert results["headers"].findings[-1].message == "and 16 more of the kind"


def test_without_vmcoreinfo_what_needs_it_is_skipped():
    memory = CRASHED.memory()
    put(memory, VMCORE_INFO_POINTER, ">Q", 0)
    results = checked(OtherDump([segment(0, MEMORY, bytes(memory))]))
    assert reds(results) == {"vmcoreinfo"}
    for name in ("page-tables", "kernel-log"):
        assert results[name].skipped_reason == "the dump has no VMCOREINFO"


def test_a_kernel_without_a_ring_buffer_has_no_log_to_check():
    results = checked(with_note(r"SYMBOL\(prb\)=\w+\n", ""))
    assert results["kernel-log"].skipped_reason == "no printk ring buffer: Linux before 5.10"
    assert reds(results) == set()


def test_tables_that_cannot_be_found_are_a_finding():
    results = checked(with_note(r"SYMBOL\(swapper_pg_dir\)=\w+\n", ""))
    assert reds(results) == {"vmcoreinfo", "page-tables", "kernel-log"}
    assert "VMCOREINFO has no SYMBOL(swapper_pg_dir)" in said(results)


def test_records_that_were_being_written_are_noted():
    crashed = CrashedKernel(states={1: 0})
    results = checked(read(crashed.elf()))
    assert results["kernel-log"].notes == (PANIC, "1 records were not complete")


def test_trailing_bytes_are_noted():
    results = checked(read(ELF + b"more"))
    assert results["complete"].notes == ("4 bytes follow that are not of the dump",)


@pytest.mark.parametrize(
    ("content", "message"),
    [(bytes(0x40000), "all 64 pages are zero"),
     (b"x" * 0x40000, "all 64 pages that are not zero are the same")],
)  # fmt: skip
def test_memory_that_no_system_has(content: bytes, message: str):
    results = checked(OtherDump([segment(0, len(content), content)]))
    assert message in said({"": results["content"]})


def test_zero_and_repeated_pages_are_counted():
    content = bytes(PAGE) * 3 + b"a" * PAGE + b"b" * PAGE + b"a" * PAGE * 2 + bytes(PAGE)
    results = checked(OtherDump([segment(0, len(content), content)]))
    assert results["content"].notes == (
        "4 pages are zero (50.0 %)",
        "at least 2 pages repeat another (25.0 %)",
    )


def found_on_disk(**changes: int) -> FoundSuperblock:
    block = superblock(ELF)
    parsed = replace(Superblock.parse(block), **changes)
    return FoundSuperblock(parsed, PART_START + PART_SIZE - PAGE, block)


def test_the_superblock_of_its_disk_is_checked():
    results = checked(read(ELF), found_on_disk())
    assert results["superblock"].compared == 9
    assert reds(results) == set()
    results = checked(read(ELF), found_on_disk(csum=1))
    assert reds(results) == {"superblock"}
    assert "checksum is 0x1" in said(results)


def test_a_base_of_its_own_is_the_image_alone():
    results = checked(with_loads(KERNEL_IMAGE, KERNEL_IMAGE, IDENTITY))
    assert reds(results) == {"memory-map"}
    assert virtual(ROOT) == 0x3FFE0010000


def test_what_is_repeated_without_end_is_not_compared():
    loads = [Load(0, 1 << 20, at << 30) for at in range(3)]
    results = checked(with_loads(*loads))
    assert "segments repeat 0x200000 bytes of memory, of which there are 0x100000" in said(results)


def test_dump_of_as_many_segments_as_there_can_be_is_checked_at_once():
    """The time is that of the process: this took minutes, as the square of their number."""
    segments = [Segment(0, PAGE, Memory(bytes(PAGE), "other"), at << 30) for at in range(20000)]
    started = time.process_time()
    results = checked(OtherDump(segments, form="elf"))
    assert time.process_time() - started < 20
    assert "PT_LOADs overlap" in said(results)


places = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2))


@given(st.lists(places, max_size=7))
def test_an_image_lies_in_a_larger_segment_of_another_base(parts: list[tuple[int, int, int]]):
    segments = [
        Segment(at, size, Memory(b"", "other"), at + base * 100) for at, size, base in parts
    ]
    segments.sort(key=lambda item: (item.paddr, -item.size))
    images = [
        segment
        for number, segment in enumerate(segments)
        if any(
            segment.paddr < other.end
            and segment.end <= other.end
            and other.size > segment.size
            and other.vaddr - other.paddr != segment.vaddr - segment.paddr
            for other in segments[:number]
        )
    ]
    assert memory_map.split(segments)[1] == images


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0x2000), st.integers(0, 255)), max_size=12))
def test_whatever_is_damaged_is_a_finding(damages: list[tuple[int, int]]):
    elf = bytearray(ELF)
    for at, value in damages:
        elf[at] = value
    try:
        dump = read(bytes(elf))
    except EvidenceError:
        return
    assert checked(dump).keys() == checked(read(ELF)).keys()


def test_a_file_that_ends_before_many_segments_is_one_finding():
    segments = [Segment(PAGE * at, PAGE, Memory(b"A" * 9, "it")) for at in range(99)]
    (finding,) = checked(OtherDump(segments))["complete"].findings
    assert finding.message == (
        "truncated: 404613 bytes of memory in 99 segments are not in the file, the first at 0x9"
    )
