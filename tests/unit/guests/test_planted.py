"""The layout of planted content: written headers can be read, other bytes are refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verify.planted_layout import (
    HEADER_SIZE,
    MAGIC,
    PAGE,
    Header,
    Kind,
    ledger_entries,
)
from tests.support.strategies import unsigned

SEED = 0x1234_5678_9ABC_DEF0


def header_strategy(*kinds: Kind) -> st.SearchStrategy[Header]:
    def made(kind: Kind, index: int, more: int, size: int, *rest: int) -> Header:
        flags, seed, address = rest
        size = size if kind is Kind.MESSAGE else PAGE
        return Header(kind, flags, seed, index, index + more, address, size)

    return st.builds(
        made,
        st.sampled_from(kinds or tuple(Kind)),
        st.integers(0, 1 << 20),
        st.integers(1, 1 << 20),
        st.integers(HEADER_SIZE, PAGE),
        unsigned(32),
        unsigned(64),
        unsigned(64),
    )


@given(header_strategy())
def test_a_header_is_read_as_written(header: Header):
    assert len(header.pack()) == HEADER_SIZE
    assert Header.parse(header.pack() + b"more") == header


@given(header_strategy(), st.integers(0, HEADER_SIZE * 8 - 1))
def test_no_bit_of_a_header_can_change(header: Header, bit: int):
    packed = bytearray(header.pack())
    packed[bit // 8] ^= 1 << bit % 8
    assert Header.parse(bytes(packed)) is None


@given(st.binary(max_size=200))
def test_other_bytes_are_not_a_header(data: bytes):
    assert Header.parse(data) is None
    assert Header.parse(MAGIC + data) is None


@pytest.mark.parametrize(
    "change", [{"index": 5}, {"size": PAGE - 1}, {"kind": Kind.MESSAGE, "size": HEADER_SIZE - 1}]
)
def test_an_invalid_header_is_not_a_header(change: dict[str, Any]):
    header = Header(Kind.TMPFS, 0, SEED, 0, 5, 0, PAGE)
    assert Header.parse(header.pack()) == header
    assert Header.parse(replace(header, **change).pack()) is None


@given(header_strategy(*set(Kind) - {Kind.LEDGER}))
def test_content_is_as_long_as_it_says(header: Header):
    assert len(header.content()) == header.size
    assert header.content()[:HEADER_SIZE] == header.pack()


entry_lists = st.lists(
    st.tuples(st.sampled_from(Kind), st.integers(0, (1 << 56) - 1)), max_size=500
)


def ledger_page(header: Header, entries: list[tuple[Kind, int]]) -> bytes:
    """As docs/content.md has it: a byte and seven for each entry, a digest in the last 32."""
    words = b"".join(kind.to_bytes(1, "big") + value.to_bytes(7, "big") for kind, value in entries)
    content = (header.pack() + words).ljust(PAGE - 32, b"\0")
    return content + hashlib.blake2b(content, digest_size=32).digest()


@given(header_strategy(Kind.LEDGER), entry_lists)
def test_a_ledger_page_is_read_as_written(header: Header, entries: list[tuple[Kind, int]]):
    assert ledger_entries(ledger_page(header, entries)) == tuple(entries)


@given(header_strategy(Kind.LEDGER), entry_lists, st.integers(0, PAGE * 8 - 1))
def test_no_bit_of_a_ledger_page_can_change(
    header: Header, entries: list[tuple[Kind, int]], bit: int
):
    page = bytearray(ledger_page(header, entries))
    page[bit // 8] ^= 1 << bit % 8
    assert ledger_entries(bytes(page)) is None
