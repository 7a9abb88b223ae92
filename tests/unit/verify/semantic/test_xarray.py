"""XArrays of a synthetic kernel: sound ones, large folios, and damaged ones."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from drgn import Architecture, FaultError, Object, Platform, PlatformFlags, Program, TypeMember
from hypothesis import given
from hypothesis import strategies as st

from harness.verify.semantic.drgn_reader.system.bounded import Broken, bounded
from harness.verify.semantic.drgn_reader.system.xarray import Entry, entries

SLOTS = 64
HEADER = 8  # of our xa_node: the shift, and padding
NODE = HEADER + 8 * SLOTS
HEAD, FIRST = 0x1000, 0x2000
MEMORY = 0x40000
PAGE_AT = 0x3700_0000  # a struct page; only its address counts
MOST = 1 << 8  # nodes


class Kernel:
    """Memory with an XArray at HEAD; nodes are made on request."""

    def __init__(self) -> None:
        self.memory = bytearray(MEMORY)
        self.program = Program(Platform(Architecture.S390X, PlatformFlags.IS_64_BIT))
        self.program.register_type_finder("test", self._type, enable_index=0)
        self.program.add_memory_segment(0, MEMORY, self._read, physical=False)
        self._next = FIRST

    def node(self, shift: int, slots: dict[int, int]) -> int:
        """The entry that leads to a new node."""
        at, self._next = self._next, self._next + -(-NODE // 16) * 16
        self.memory[at] = shift
        for slot, value in slots.items():
            struct.pack_into(">Q", self.memory, at + HEADER + 8 * slot, value)
        return at | 2

    def entries(self, head: int, most: int = MOST) -> list[Entry]:
        struct.pack_into(">Q", self.memory, HEAD, head)
        return list(entries(Object(self.program, "struct xarray", address=HEAD), most))

    def _read(self, address: int, size: int, _offset: int, _physical: bool) -> bytes:
        return bytes(self.memory[address : address + size])

    def _type(self, program: Program, kinds, name: str, filename):
        pointer = program.pointer_type(program.void_type())
        byte = program.int_type("unsigned char", 1, False)
        if name == "xarray":
            return program.struct_type(name, 8, (TypeMember(pointer, "xa_head"),))
        if name == "xa_node":
            slots = program.array_type(pointer, SLOTS)
            members = (TypeMember(byte, "shift"), TypeMember(slots, "slots", 8 * HEADER))
            return program.struct_type(name, NODE, members)
        return None


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def sibling(slot: int) -> int:
    return slot << 2 | 2


def test_an_empty_one(kernel):
    assert kernel.entries(0) == []


def test_a_single_page_is_in_the_head(kernel):
    assert kernel.entries(PAGE_AT) == [Entry(0, 1, PAGE_AT)]


def test_holes_are_left_out(kernel):
    head = kernel.node(0, {1: PAGE_AT, 63: PAGE_AT + 64})
    assert kernel.entries(head) == [Entry(1, 1, PAGE_AT), Entry(63, 1, PAGE_AT + 64)]


def test_a_large_folio_has_siblings(kernel):
    head = kernel.node(
        0, {4: PAGE_AT, 5: sibling(4), 6: sibling(4), 7: sibling(4), 8: PAGE_AT + 1024}
    )
    assert kernel.entries(head) == [Entry(4, 4, PAGE_AT), Entry(8, 1, PAGE_AT + 1024)]


def test_a_folio_of_more_pages_than_a_node_has_slots(kernel):
    head = kernel.node(6, {0: PAGE_AT, 1: sibling(0), 2: sibling(0), 3: sibling(0)})
    assert kernel.entries(head) == [Entry(0, 256, PAGE_AT)]


def test_nodes_come_in_the_order_of_their_indices(kernel):
    one, other = kernel.node(0, {0: PAGE_AT}), kernel.node(0, {2: PAGE_AT + 64})
    head = kernel.node(6, {1: one, 3: other})
    assert kernel.entries(head) == [Entry(64, 1, PAGE_AT), Entry(194, 1, PAGE_AT + 64)]


def test_values_are_no_pages(kernel):
    (entry,) = kernel.entries(kernel.node(0, {3: 0x77 << 1 | 1}))
    assert entry.is_value
    assert not Entry(0, 1, PAGE_AT).is_value


def test_a_node_that_leads_to_itself_is_broken(kernel):
    head = kernel.node(6, {})
    struct.pack_into(">Q", kernel.memory, (head & ~3) + HEADER, head)
    with pytest.raises(Broken, match="has shift 6 below 6"):
        kernel.entries(head)


def test_a_shift_that_cannot_be_is_broken(kernel):
    with pytest.raises(Broken, match="has shift 7 below"):
        kernel.entries(kernel.node(7, {}))


def test_too_many_nodes_are_broken(kernel):
    leaf = kernel.node(0, {})
    head = kernel.node(6, dict.fromkeys(range(SLOTS), leaf))
    with pytest.raises(Broken, match="more than 10 nodes"):
        kernel.entries(head, most=10)


INDICES = st.sets(st.integers(0, (1 << 18) - 1), max_size=12)


@given(INDICES)
def test_what_was_stored_is_found(indices: set[int]):
    kernel = Kernel()

    def tree(shift: int, base: int, members: set[int]) -> int:
        below: dict[int, set[int]] = {}
        for index in members:
            below.setdefault((index - base) >> shift, set()).add(index)
        return kernel.node(
            shift,
            {
                slot: PAGE_AT + 64 * min(those)
                if shift == 0
                else tree(shift - 6, base + (slot << shift), those)
                for slot, those in below.items()
            },
        )

    found = kernel.entries(tree(12, 0, indices))
    assert found == [Entry(index, 1, PAGE_AT + 64 * index) for index in sorted(indices)]


@given(st.binary(min_size=NODE * 4, max_size=NODE * 4))
def test_damaged_nodes_end_in_a_fault_or_an_end(content: bytes):
    kernel = Kernel()
    kernel.memory[FIRST : FIRST + len(content)] = content
    with suppress(Broken, FaultError):
        kernel.entries(FIRST | 2, most=32)


def test_a_list_without_an_end_is_broken():
    def forever():
        while True:
            yield 1

    with pytest.raises(Broken, match="there are more than 5 links, or their list has no end"):
        list(bounded(forever(), 5, "links"))
    assert list(bounded([1, 2], 2, "links")) == [1, 2]
