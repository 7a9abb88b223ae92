"""Compare two dumps: green for the same crash, red for every difference."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dump.byte_source import ByteSource
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.formats.kdump.reader import KdumpDump
from harness.dump.formats.s390.reader import S390Dump
from harness.dump.reader import Dump, Range, Segment, without
from harness.errors import EvidenceError
from harness.inspect.compare import Layers, compare
from harness.progress import NoProgress
from harness.s390x.cpu import CpuState
from harness.s390x.storestatus import status_area
from harness.verify.findings import CheckResult
from harness.verify.kinds import DifferingPages, RegisterOfDumps
from tests.support.dumps import kdump, s390
from tests.support.dumps.alone import limited_elf
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import IMAGE, MEMORY, PAGE, Load, file_offset, stored, vmcore
from tests.support.findings import details
from tests.support.kernels.crashed_kernel import PREFIXES, CrashedKernel

CRASHED = CrashedKernel()
ELF = CRASHED.elf()
WHOLE = bytes(CRASHED.memory())
CPUS = [stored(cpu) for cpu in CRASHED.cpus]


def elf(content: bytes = ELF) -> ElfDump:
    return ElfDump(Memory(content, "some.elf"))


class OtherDump(Dump):
    """Memory and CPUs as a format without ELF's headers might have them."""

    name, length = "other", 0

    def __init__(
        self,
        memory: bytes = WHOLE,
        cpus: Sequence[CpuState] = CPUS,
        form: str = "s390",
        segments: Sequence[Segment] | None = None,
    ) -> None:
        self.format, self._cpus = form, tuple(cpus)
        self.content = Memory(memory, "other")
        self.segments = tuple(segments or [Segment(0, len(memory), self.content)])

    @property
    def cpus(self) -> tuple[CpuState, ...]:
        return self._cpus


def compared(one: Dump, other: Dump) -> dict[str, CheckResult]:
    return {result.check: result for result in compare(one, other, NoProgress())}


def reds(results: dict[str, CheckResult]) -> set[str]:
    return {name for name, result in results.items() if not result.passed}


def said(results: dict[str, CheckResult]) -> str:
    return "\n".join(finding.message for item in results.values() for finding in item.findings)


def allowed(results: dict[str, CheckResult]) -> set[str]:
    return {difference.where for item in results.values() for difference in item.allowed}


def put(memory: bytes, at: int, data: bytes) -> bytes:
    return memory[:at] + data + memory[at + len(data) :]


def inverted(memory: bytes, at: int) -> bytes:
    return put(memory, at, bytes([memory[at] ^ 0xFF]))


def test_a_dump_is_the_same_as_itself():
    results = compared(elf(), elf())
    assert reds(results) == allowed(results) == set()
    # all of memory, and the kernel's image of each dump against the other's
    image = (IMAGE[1] - IMAGE[0]) // PAGE
    assert results["pages"].compared == MEMORY // PAGE + 2 * image
    assert results["registers"].compared == 2 * (2 + 16 * 4 + 5 + 16 * 2)


KEPT = 0x380000  # of memory, in the dump from which the rest was left out


def without_the_end() -> ElfDump:
    at = ELF.rindex(struct.pack(">2Q", MEMORY, MEMORY))
    return elf(put(ELF, at, struct.pack(">Q", KEPT)))


@pytest.mark.parametrize("first", [True, False])
def test_what_was_left_out_on_purpose_is_no_difference(first: bool):
    filtered = without_the_end()
    results = compared(filtered, elf()) if first else compared(elf(), filtered)
    assert reds(results) == set()
    nonzero = sum(any(WHOLE[at : at + PAGE]) for at in range(KEPT, MEMORY, PAGE))
    assert nonzero
    assert allowed(results) == {
        f"{nonzero} pages that are not zero, and that only one of the dumps has"
    }
    # all else counts
    damaged = elf(inverted(ELF, file_offset(KEPT - 1)))
    results = compared(filtered, damaged) if first else compared(damaged, filtered)
    assert f"first difference at {KEPT - 1:#x}" in said(results)
    assert reds(results) == {"pages"}


@pytest.mark.parametrize("first", [True, False])
def test_pages_that_a_kdump_leaves_out_are_no_difference(first: bool):
    filtered = KdumpDump(Memory(kdump.kdump(), "some.kdump"))
    segments = [Segment(PAGE * at, PAGE, Memory(kdump.page(at), "it")) for at in kdump.MEMORY]
    whole = OtherDump(cpus=filtered.cpus, segments=segments)
    results = compared(filtered, whole) if first else compared(whole, filtered)
    assert results["memory-map"].passed
    which = "second" if first else "first"
    assert allowed(results) == {f"3 pages that only the {which} dump has"}
    segments.append(Segment(PAGE * 5, PAGE, whole.content))  # the machine had no such page
    more = OtherDump(cpus=filtered.cpus, segments=segments)
    results = compared(filtered, more) if first else compared(more, filtered)
    assert f"only the {which} dump has 0x5000-0x5fff" in said(results)


def test_another_format_is_the_same():
    results = compared(elf(), OtherDump())
    assert reds(results) == allowed(results) == set()


@given(st.sampled_from([0x10010, IMAGE[0], 0x19FFFF, MEMORY - 1, 0x250000]), st.booleans())
def test_any_byte_counts_whichever_dump_has_it(at: int, first: bool):
    other = OtherDump(inverted(WHOLE, at))
    results = compared(other, elf()) if first else compared(elf(), other)
    assert reds(results) == {"pages"}
    page = at - at % PAGE
    assert f"pages differ: {page:#x}-{page + PAGE - 1:#x}" in said(results)
    assert f"first difference at {at:#x}" in said(results)


@pytest.mark.parametrize("first", [True, False])
def test_what_a_segment_repeats_is_compared_too(first: bool):
    at = file_offset(0) - (IMAGE[1] - IMAGE[0]) + 0x123  # in the PT_LOAD of the image alone
    damaged = elf(inverted(ELF, at))
    results = compared(damaged, elf()) if first else compared(elf(), damaged)
    assert reds(results) == {"pages"}
    assert f"first difference at {IMAGE[0] + 0x123:#x}" in said(results)


def test_shifted_pages_are_recognised():
    shifted = put(WHOLE, 0x180000, WHOLE[0x170000:0x178000])
    results = compared(OtherDump(shifted), elf())
    assert "8 of 1088 pages differ: 0x180000-0x187fff" in said(results)
    assert "the first dump's content is that of page 0x170000 (shifted by +0x10000)" in said(
        results
    )


def test_memory_that_only_one_dump_has():
    parts = [
        Segment(at, end - at, Memory(WHOLE[at:end], ""))
        for at, end in ((0, 0x200000), (0x280000, MEMORY))
    ]
    results = compared(elf(), OtherDump(segments=parts))
    assert reds(results) == {"memory-map"}
    assert said(results) == "only the first dump has 0x200000-0x27ffff"
    results = compared(OtherDump(segments=parts), elf())
    assert said(results) == "only the second dump has 0x200000-0x27ffff"
    assert results["pages"].compared == (MEMORY - 0x80000 + IMAGE[1] - IMAGE[0]) // PAGE


def test_missing_memory_is_not_ignored():
    results = compared(elf(ELF[:-0x3000]), elf())
    assert reds(results) == {"pages"}
    assert said(results) == "0x3fd000-0x3fffff not compared: the first dump ends before it"
    results = compared(elf(), elf(ELF[:-0x3000]))
    assert said(results) == "0x3fd000-0x3fffff not compared: the second dump ends before it"


def test_dumps_without_common_memory_are_red():
    far = OtherDump(segments=[Segment(1 << 40, PAGE, Memory(bytes(PAGE), ""))])
    results = compared(elf(), far)
    assert reds(results) >= {"memory-map", "pages"}
    assert "compared no pages at all" in said(results)


# registers


@pytest.mark.parametrize("name", [item.name for item in fields(CpuState) if item.name != "prefix"])
def test_every_register_counts(name: str):
    value = getattr(CPUS[1], name)
    changed = (*value[:3], value[3] ^ 2, *value[4:]) if isinstance(value, tuple) else value ^ 2
    results = compared(elf(), OtherDump(cpus=[CPUS[0], replace(CPUS[1], **{name: changed})]))
    assert reds(results) == {"registers"}
    assert said(results).startswith("CPU 1: ")


PRFPREG = struct.pack(">3I", 5, 136, 2)


@pytest.mark.parametrize("first", [True, False])
def test_registers_that_one_dump_does_not_have_count(first: bool):
    partial = elf(ELF.replace(PRFPREG, struct.pack(">3I", 5, 136, 0x7FF)))
    results = compared(partial, elf()) if first else compared(elf(), partial)
    assert reds(results) == {"registers"}
    assert results["registers"].findings[0].details == (
        RegisterOfDumps(0, "fpr0", None, f"{CPUS[0].fprs[0]:x}")
        if first
        else RegisterOfDumps(0, "fpr0", f"{CPUS[0].fprs[0]:x}", None)
    )
    assert len(results["registers"].findings) == 2 * 17
    assert reds(compared(partial, partial)) == set()


def test_cpus_that_only_one_dump_has():
    results = compared(elf(), OtherDump(cpus=CPUS[:1]))
    assert said(results) == f"only the first dump has CPU 1 (prefix {PREFIXES[1]:#x})"
    results = compared(OtherDump(cpus=CPUS[:1]), elf())
    assert said(results) == f"only the second dump has CPU 1 (prefix {PREFIXES[1]:#x})"
    assert reds(results) == {"registers"}


def test_a_cpu_that_was_never_started_may_be_left_out():
    results = compared(elf(), OtherDump(cpus=[*CPUS, replace(CPUS[0], prefix=0)]))
    assert reds(results) == set()
    assert allowed(results) == {"CPU 2 of the second dump"}


def test_the_order_of_the_cpus_counts():
    results = compared(elf(), OtherDump(cpus=CPUS[::-1]))
    assert said(results) == "the second dump has the first one's CPUs in the order [1, 0]"


def test_a_clock_comparator_may_be_shifted():
    results = compared(elf(), OtherDump(cpus=CRASHED.cpus))
    assert reds(results) == set()
    assert allowed(results) == {"clock comparator of CPU 0", "clock comparator of CPU 1"}


def without_vectors(cpu: CpuState) -> CpuState:
    return replace(cpu, vxrs_low=None, vxrs_high=None)


def test_vector_registers_may_be_absent_where_the_format_has_no_room():
    cpus = [without_vectors(cpu) for cpu in CPUS]
    results = compared(elf(), OtherDump(cpus=cpus))
    assert reds(results) == set()
    assert allowed(results) == {"vector registers of CPU 0", "vector registers of CPU 1"}
    assert reds(compared(elf(), OtherDump(cpus=cpus, form="kdump"))) == {"registers"}


def test_dumps_without_any_cpu_are_compared_all_the_same():
    results = compared(OtherDump(cpus=[]), OtherDump(cpus=[]))
    assert reds(results) == set()
    assert results["registers"].skipped_reason == "neither dump has a CPU"


# status areas


def restored(prefix: int) -> bytes:
    """Memory as if nothing had been stored into the CPU's status area."""
    return put(WHOLE, prefix + 0x1200, b"\xa5" * 512)


@pytest.mark.parametrize("first", [True, False])
def test_a_status_area_may_be_filled_in_one_dump(first: bool):
    other = OtherDump(restored(PREFIXES[0]))
    results = compared(other, elf()) if first else compared(elf(), other)
    assert reds(results) == set()
    assert allowed(results) == {f"page {PREFIXES[0] + 0x1000:#x}"}


def test_the_absolute_status_area_is_that_of_any_cpu():
    other = OtherDump(put(WHOLE, 0x1200, status_area(CRASHED.cpus[1])))
    assert allowed(compared(elf(), other)) == {"page 0x1000"}
    assert reds(compared(elf(), other)) == set()


WRONG_STATUS = {
    "bytes around it": inverted(restored(PREFIXES[0]), PREFIXES[0] + 0x1400),
    "another CPU's": put(WHOLE, PREFIXES[0] + 0x1200, status_area(CRASHED.cpus[1])),
}


def test_the_bytes_around_a_status_area_count():
    results = compared(elf(), OtherDump(WRONG_STATUS["bytes around it"]))
    assert reds(results) == {"pages"}


def test_a_status_area_has_to_be_the_cpus_own():
    one = OtherDump(WRONG_STATUS["another CPU's"])
    other = OtherDump(restored(PREFIXES[0]))
    assert reds(compared(one, other)) == {"pages"}


AREA = 0x30A400  # of CPU 0's vector registers; the low bits of the pointer are its length
POINTING = put(WHOLE, PREFIXES[0] + 0x11B0, (AREA | 9).to_bytes(8, "big"))
VECTORS = b"".join(register.to_bytes(16, "big") for register in CRASHED.cpus[0].vxrs)


@pytest.mark.parametrize("first", [True, False])
def test_vector_registers_may_be_stored_in_one_dump(first: bool):
    one, other = OtherDump(POINTING), OtherDump(put(POINTING, AREA, VECTORS))
    results = compared(one, other) if first else compared(other, one)
    assert reds(results) == set()
    assert allowed(results) == {"page 0x30a000"}


@pytest.mark.parametrize(
    "memory",
    [
        inverted(put(POINTING, AREA, VECTORS), AREA + 512),
        inverted(put(POINTING, AREA, VECTORS), AREA),
        put(POINTING, AREA + 0x400, VECTORS),
    ],
)
def test_anything_else_there_counts(memory: bytes):
    assert reds(compared(OtherDump(POINTING), OtherDump(memory))) == {"pages"}


SHARED = put(POINTING, PREFIXES[1] + 0x11B0, (AREA + 0x400).to_bytes(8, "big"))
OTHER_VECTORS = b"".join(register.to_bytes(16, "big") for register in CRASHED.cpus[1].vxrs)


def test_areas_of_several_cpus_share_a_page():
    """1 KiB apart; each dump may have stored those of one CPU."""
    both = put(put(SHARED, AREA, VECTORS), AREA + 0x400, OTHER_VECTORS)
    assert reds(compared(OtherDump(SHARED), OtherDump(both))) == set()
    one = put(SHARED, AREA, VECTORS)
    other = put(SHARED, AREA + 0x400, OTHER_VECTORS)
    assert reds(compared(OtherDump(one), OtherDump(other))) == set()
    assert reds(compared(OtherDump(SHARED), OtherDump(inverted(both, AREA + 0x400)))) == {"pages"}
    assert reds(compared(OtherDump(SHARED), OtherDump(inverted(both, AREA + 0x200)))) == {"pages"}


# VMCOREINFO


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (None, "the second dump has none"),
        (b"OSRELEASE=6.1\n", "line 1 is 'OSRELEASE=6.12.1-test' in the first dump"),
        (CRASHED.vmcoreinfo + b"X=1\n", "'X=1' in the second dump"),
    ],
)
def test_vmcoreinfo_counts(note: bytes | None, message: str):
    other = vmcore(WHOLE, CPUS, vmcoreinfo=note)
    results = compared(elf(), elf(other))
    assert reds(results) == {"vmcoreinfo"}
    assert message in said(results)


def test_dumps_without_vmcoreinfo_are_compared_all_the_same():
    plain = elf(vmcore(WHOLE, CPUS, vmcoreinfo=None))
    results = compared(plain, plain)
    assert reds(results) == set()
    assert results["vmcoreinfo"].skipped_reason == "neither dump has VMCOREINFO"


# how it is done


class Sparse(ByteSource):
    """Zeros without end, with a page of data; counts what is read."""

    name, size, data_at = "sparse", 1 << 40, 0x40000000

    def __init__(self) -> None:
        self.read_bytes = 0

    def upto(self, at: int, size: int) -> bytes:
        self.read_bytes += size
        return bytes(size)

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        if start <= self.data_at < (self.size if end is None else end):
            yield self.data_at, PAGE

    def close(self) -> None:
        pass


def test_holes_in_both_are_not_read():
    left, right = Sparse(), Sparse()
    right.data_at = 0x50000000
    one, other = (
        OtherDump(segments=[Segment(0, content.size, content)], cpus=[])
        for content in (left, right)
    )
    results = compared(one, other)
    assert results["pages"].passed
    assert left.read_bytes < 10 * PAGE


def test_dumps_that_differ_everywhere_take_little_memory():
    size = 64 << 20
    one = OtherDump(b"\x01" * size, cpus=[])
    other = OtherDump(b"\x02" * size, cpus=[])
    tracemalloc.start()
    results = compared(one, other)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert details(results["pages"].findings[0], DifferingPages).pages == size // PAGE
    assert peak < 4 << 20


ranges = st.lists(st.integers(0, 60), max_size=12, unique=True).map(
    lambda ends: [Range(*pair) for pair in zip(*[iter(sorted(ends))] * 2, strict=False)]
)


@given(ranges, ranges)
def test_ranges_without_others(left: list[Range], right: list[Range]):
    def members(pieces) -> set[int]:
        return {at for start, end in pieces for at in range(start, end)}

    assert members(without(left, right)) == members(left) - members(right)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), min_size=1, max_size=6))
def test_layers_have_everything_once_and_the_rest_again(segments: list[tuple[int, int]]):
    dump = OtherDump(segments=[Segment(at, size, Memory(bytes(size), "")) for at, size in segments])
    layers = Layers.of(dump)
    once = [at for piece in layers.once for at in range(piece.start, piece.end)]
    again = [at for piece in layers.again for at in range(piece.start, piece.end)]
    assert once == sorted(set(once))
    everything = [at for start, size in segments for at in range(start, start + size)]
    assert set(once + again) == set(everything)
    assert len(once) + len(again) <= len(everything)


def test_a_load_at_another_virtual_address_makes_no_difference():
    loads = (Load(0, MEMORY, 0),)
    assert (
        reds(compared(elf(), elf(vmcore(WHOLE, CPUS, vmcoreinfo=CRASHED.vmcoreinfo, loads=loads))))
        == set()
    )


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("limit", [PAGE, 0x180000, 0x300000, MEMORY - PAGE])
def test_what_a_limited_dump_says_that_it_lacks_is_no_difference(first: bool, limit: int):
    pair = [elf(limited_elf(limit)), elf()]
    results = compared(*(pair if first else pair[::-1]))
    assert reds(results) == set()
    (allowed,) = results["memory-map"].allowed
    which = "second" if first else "first"
    pages = (MEMORY - limit) // PAGE
    assert allowed.where == f"{pages} pages that only the {which} dump has"


@pytest.mark.parametrize("first", [True, False])
def test_cpus_that_a_limited_dump_has_no_room_for_are_no_difference(first: bool):
    limit, prefixes = min(PREFIXES), [cpu.prefix for cpu in CRASHED.cpus]
    content = bytearray(s390.plain(WHOLE[:limit], prefixes))
    struct.pack_into(">Q", content, 0x54, MEMORY)  # mem_size_real
    pair: list[Dump] = [S390Dump(Memory(bytes(content), "some.s390")), elf()]
    results = compared(*(pair if first else pair[::-1]))
    assert reds(results) == set()
    assert results["registers"].skipped_reason == "the dumps have no CPU in common"
    struct.pack_into(">Q", content, 0x28, MEMORY)  # mem_end contradicts mem_size
    with pytest.raises(EvidenceError, match="no registers for the prefix"):
        compared(S390Dump(Memory(bytes(content), "some.s390")), elf())
