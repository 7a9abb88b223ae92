from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dump.disk.fragments import FragmentedSource, Piece, last_wins
from harness.errors import EvidenceError
from tests.support.dumps.byte_source import Memory

WHOLE = Memory(bytes(range(256)) * 4, "whole")

pieces = st.lists(
    st.builds(Piece, st.integers(0, 300), st.integers(1, 60), st.integers(0, 900)), max_size=12
)


def put_together(written: list[Piece], size: int) -> bytes:
    """The content of a file that was written piece by piece."""
    content = bytearray(size)
    for piece in written:
        content[piece.at : piece.at + piece.size] = WHOLE.upto(piece.source, piece.size)
    return bytes(content[:size])


@given(pieces, st.integers(0, 400), st.integers(0, 400))
def test_reads_what_was_written_last(written: list[Piece], at: int, size: int):
    expected = put_together(written, 400)
    content = FragmentedSource(WHOLE, last_wins(written), 400, "parts")
    assert content.upto(at, size) == expected[at : at + size]
    assert content.part(at, size).upto(0, 1000) == expected[at : at + size]


@given(pieces, st.integers(0, 400), st.integers(0, 400))
def test_bytes_outside_of_extents_are_zero(written: list[Piece], start: int, end: int):
    content = FragmentedSource(WHOLE, last_wins(written), 400, "parts")
    expected, seen = put_together(written, 400), bytearray(400)
    for at, size in content.data_extents(start, end):
        assert start <= at < at + size <= end
        seen[at : at + size] = expected[at : at + size]
    assert seen[start:end] == expected[start:end]


def test_truncated_whole_ends_the_content():
    content = FragmentedSource(WHOLE, [Piece(10, 20, 1014), Piece(40, 10, 0)], 50, "parts")
    assert content.upto(0, 50) == bytes(10) + WHOLE.upto(1014, 10)
    with pytest.raises(EvidenceError, match="parts: truncated: data at offset 0x0 needs 50 bytes"):
        content.read(0, 50)


def test_overlap_is_refused():
    with pytest.raises(EvidenceError, match="parts: offset 0x14 is in two places at once"):
        FragmentedSource(WHOLE, [Piece(20, 5, 0), Piece(10, 11, 0)], 50, "parts")
