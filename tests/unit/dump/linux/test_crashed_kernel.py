"""The crashed kernel in a dump: address translation, UTS names, the kernel log."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dump.formats.elf.reader import ElfDump
from harness.dump.linux import dat
from harness.dump.linux.crashed_kernel import Kernel, lowcores, uts_names
from harness.dump.linux.kernel_log import panic_in, read_log
from harness.errors import EvidenceError
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import IDENTITY_BASE, IMAGE, IMAGE_VADDR, MEMORY
from tests.support.kernels.crashed_kernel import (
    ASCE,
    COMMITTED,
    DESCS,
    IDENTITY_SEGMENTS,
    IMAGE_PAGES,
    IMAGE_SEGMENTS,
    PANIC,
    PREFIXES,
    REUSABLE,
    RING,
    ROOT,
    TEXT,
    CrashedKernel,
    in_kernel,
    put,
    virtual,
    vmcoreinfo,
)

FEWER = settings(max_examples=40, deadline=None)  # each makes a dump of its own


def kernel_of(crashed: CrashedKernel, memory: bytes | None = None) -> Kernel:
    return Kernel(ElfDump(Memory(crashed.elf(memory), "some.elf")))


def translated(memory: bytes, address: int, asce: int = ASCE) -> int:
    return dat.translate(asce, address, lambda at: struct.unpack_from(">Q", memory, at)[0])


MEMORY_OF_IT = bytes(CrashedKernel().memory())


@given(st.integers(0, IMAGE[1] - IMAGE[0] - 1))
def test_pages_are_found(offset: int):
    assert translated(MEMORY_OF_IT, IMAGE_VADDR + offset) == IMAGE[0] + offset


@given(st.integers(0, MEMORY - 1))
def test_segment_frames_are_found(address: int):
    assert translated(MEMORY_OF_IT, IDENTITY_BASE + address) == address


def test_region_frames_are_found():
    memory = bytearray(MEMORY_OF_IT)
    put(memory, ROOT + 8, ">Q", 6 << 31 | 0x400 | 4)
    assert translated(bytes(memory), (1 << 31) + 0x123456) == (6 << 31) + 0x123456


@pytest.mark.parametrize(("upper", "level", "shift"), [(0x300000, 2, 42), (0x310000, 3, 53)])
def test_tables_above_region_third(upper: int, level: int, shift: int):
    memory = bytearray(MEMORY_OF_IT)
    put(memory, 0x300000 + 8, ">Q", ROOT | 2 << 2 | 3)
    if level == 3:
        put(memory, 0x310000 + 8, ">Q", 0x300000 | 3 << 2 | 3)
    address = IMAGE_VADDR + 5 + (1 << 42) + ((1 << 53) if level == 3 else 0)
    assert translated(bytes(memory), address, upper | level << 2 | 3) == IMAGE[0] + 5
    assert shift == dat.LEVELS[level].shift


def test_in_real_space_virtual_is_real():
    assert translated(b"", 0x1234, asce=0x20) == 0x1234


IN_IMAGE = IMAGE_VADDR + 0x2345
IMAGE_REGION, IDENTITY_REGION = ROOT + (IMAGE_VADDR >> 31) * 8, ROOT + (IDENTITY_BASE >> 31) * 8
FAULTS = {
    "region": (IN_IMAGE, IMAGE_REGION, 0x24, "the region-third-table entry .* is invalid"),
    "segment": (IN_IMAGE, IMAGE_SEGMENTS + 0x600 * 8, 0x20, "segment-table .* is invalid"),
    "page": (IN_IMAGE, IMAGE_PAGES + 16, 0x400, "page-table entry .* at 0x208010 is invalid"),
    "reserved bit": (IN_IMAGE, IMAGE_PAGES + 16, 0x800, "bit 52 of the page-table entry"),
    "type": (IN_IMAGE, IMAGE_REGION, IMAGE_SEGMENTS | 0xB, "is of another table type"),
    "length": (IN_IMAGE, IMAGE_REGION, IMAGE_SEGMENTS | 6, "needs entry 1536 of the segment"),
    "offset": (IDENTITY_BASE, IDENTITY_REGION, IDENTITY_SEGMENTS | 0x47, "needs entry 0 of the"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_the_entry(name: str):
    address, at, entry, message = FAULTS[name]
    memory = bytearray(MEMORY_OF_IT)
    put(memory, at, ">Q", entry)
    with pytest.raises(EvidenceError, match=message) as caught:
        translated(bytes(memory), address)
    assert f"{address:#x}" in caught.value.message


def test_a_table_that_the_dump_lacks_is_told_with_the_dumps_name_once():
    memory = CrashedKernel().memory()
    put(memory, IMAGE_REGION, ">Q", 0x7FFF0000 | 7)
    with pytest.raises(EvidenceError, match=r"^some\.elf: has no memory at 0x7fff"):
        kernel_of(CrashedKernel(), bytes(memory)).translate(IN_IMAGE)


def test_an_address_beyond_the_tables():
    with pytest.raises(EvidenceError, match="is beyond what a region-third table maps"):
        translated(MEMORY_OF_IT, 1 << 42)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1), st.binary(max_size=64))
def test_any_tables_end_in_an_address_or_a_fault(asce: int, address: int, noise: bytes):
    def read(at: int) -> int:
        return int.from_bytes((noise * 8)[at % 57 :][:8], "big")

    try:
        assert 0 <= dat.translate(asce, address, read) < 1 << 64
    except EvidenceError as error:
        assert f"{address:#x}" in error.message  # noqa: PT017  # only if raised at all


def test_names_and_lowcores_are_found():
    kernel = kernel_of(CrashedKernel())
    assert uts_names(kernel)["nodename"] == "crash"
    assert uts_names(kernel)["release"] == "6.12.1-test"
    assert lowcores(kernel) == PREFIXES
    assert kernel.translate(virtual(ROOT)) == kernel.info.image_address(virtual(ROOT)) == ROOT


def test_a_cpu_tells_the_type_of_the_tables():
    crashed = CrashedKernel()
    assert kernel_of(crashed).asce == ROOT | 1 << 2 | 3
    crashed.cpus[0] = in_kernel(crashed.cpus[0], ROOT | 0x183)
    assert kernel_of(crashed).asce == ROOT | 0x183


def test_before_linux_6_10_image_addresses_are_absolute():
    text = re.sub(rb"KERNELOFF\w+=\w+\n", b"", vmcoreinfo())
    assert kernel_of(CrashedKernel(vmcoreinfo=text)).info.image_address(0x110000) == 0x110000


@pytest.mark.parametrize(
    ("pattern", "by", "message"),
    [
        (rb"SYMBOL\(swapper_pg_dir\)=\w+", b"X=1", r"has no SYMBOL\(swapper_pg_dir\)"),
        (rb"SYMBOL\(swapper_pg_dir\)=\w+", b"SYMBOL(swapper_pg_dir)=zz", "=zz is no number"),
        (rb"SYMBOL\(swapper_pg_dir\)=\w+", b"SYMBOL(swapper_pg_dir)=-1", "=-1 is out of range"),
    ],
)
def test_vmcoreinfo_that_does_not_help(pattern: bytes, by: bytes, message: str):
    with pytest.raises(EvidenceError, match=f"some.elf.*{message}"):
        kernel_of(CrashedKernel(vmcoreinfo=re.sub(pattern, by, vmcoreinfo())))


def test_structures_have_a_limit():
    with pytest.raises(EvidenceError, match="no structure"):
        kernel_of(CrashedKernel()).read(IDENTITY_BASE, 1 << 40)


# kernel log


def log_of(crashed: CrashedKernel, memory: bytes | None = None) -> list[str]:
    return [record.text for record in read_log(kernel_of(crashed, memory))]


def test_the_log_is_read():
    crashed = CrashedKernel()
    records = list(read_log(kernel_of(crashed)))
    assert [record.text for record in records] == list(crashed.log)
    assert [record.sequence for record in records] == [0, 1, 2]
    assert list(records[1].lines()) == ["[    1.000000] two", "[    1.000000] lines"]
    assert records[2].seconds == pytest.approx(2.0000005)
    assert [panic_in(record) for record in records] == [None, None, PANIC]


@FEWER
@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=9),
    st.integers(0, 40),
    st.integers(0, 300).map(lambda words: words * 8),
)
def test_any_log_is_read_wherever_its_rings_wrap(texts: list[str], first: int, lpos: int):
    assert log_of(CrashedKernel(log=texts, first_id=first, first_lpos=lpos)) == texts


def test_records_that_are_not_complete_are_left_out():
    crashed = CrashedKernel(states={0: 0, 1: COMMITTED, 2: REUSABLE})
    assert log_of(crashed) == ["two\nlines"]


def test_a_block_may_end_where_the_ring_does():
    crashed = CrashedKernel(log=("x" * 16,), first_id=5, first_lpos=1000)
    memory = crashed.memory()
    put(memory, DESCS + 24 * 5 + 8, ">2Q", 1000, 1024)
    put(memory, TEXT + 1000, ">Q", 5)
    memory[TEXT + 1008 : TEXT + 1024] = b"y" * 16
    assert log_of(crashed, memory) == ["y" * 16]


BROKEN_LOGS = {
    "count": (RING, ">I", 60, "prb_desc_ring.count_bits is 60"),
    "size": (RING + 48, ">I", 0, "prb_data_ring.size_bits is 0"),
    "head": (RING + 24, ">Q", 500, "are more than 16 records"),
    "pointer": (RING + 8, ">Q", 0x123000, "is not mapped"),
    "text": (TEXT, ">Q", 77, "text of record 0x5 belongs to 0x4d"),
    "block": (DESCS + 24 * 5 + 8, ">Q", 0x80, "text of record 0x5 is at 0x80 to 0x28"),
}


@pytest.mark.parametrize("name", BROKEN_LOGS)
def test_a_broken_log_is_an_error_that_says_where(name: str):
    at, form, value, message = BROKEN_LOGS[name]
    crashed = CrashedKernel()
    memory = crashed.memory()
    put(memory, at, form, value)
    with pytest.raises(EvidenceError, match=f"some.elf: .*{message}"):
        log_of(crashed, memory)


@FEWER
@given(st.sampled_from([RING, DESCS, TEXT, ROOT, IMAGE_PAGES, IDENTITY_SEGMENTS]), st.data())
def test_a_damaged_kernel_raises_evidence_error_only(around: int, data: st.DataObject):
    crashed = CrashedKernel()
    memory = crashed.memory()
    for _ in range(3):
        at = around + data.draw(st.integers(0, 600))
        memory[at] = data.draw(st.integers(0, 255))
    try:
        assert len(log_of(crashed, memory)) <= 16
    except EvidenceError as error:
        assert error.message.startswith("some.elf: ")  # noqa: PT017  # only if raised at all


@FEWER
@given(st.data())
def test_damaged_vmcoreinfo_raises_evidence_error_only(data: st.DataObject):
    text = bytearray(vmcoreinfo())
    for _ in range(4):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from(b"09-f=\n ("))
    crashed = CrashedKernel(vmcoreinfo=bytes(text))
    try:
        assert len(log_of(crashed)) <= 16
    except EvidenceError as error:
        assert error.message.startswith("some.elf: ")  # noqa: PT017  # only if raised at all
