"""At which moments the power is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.judges.guest import Said
from harness.lab.power_cuts import moments, taken_for_whole


def test_they_are_even_and_around_the_flushes():
    chosen = moments(1000, (500, 1000), 5)
    assert {write for write, _ in chosen} == {1, 250, 499, 500, 501, 750, 999, 1000}


def test_zgetdump_must_not_take_a_torn_dump_for_a_whole_one():
    refused, taken = Said(1, "zgetdump: No valid dump found"), Said(0, "General dump info")
    assert taken_for_whole(refused, right=False) is None
    assert "takes it for a whole dump" in (taken_for_whole(taken, right=False) or "")
    assert taken_for_whole(taken, right=True) is None, "only the superblock is missing"


def test_with_few_writes_there_are_more_seeds():
    chosen = moments(2, (2,), 10)
    assert {write for write, _ in chosen} == {1, 2}
    assert len({seed for _, seed in chosen}) > 4


@given(st.integers(1, 5000), st.lists(st.integers(0, 5000), max_size=9), st.integers(1, 300))
def test_every_moment_is_one_of_the_dump_and_comes_once(writes, flushes, points):
    flushes = [min(flush, writes) for flush in flushes]
    chosen = moments(writes, flushes, points)
    assert len(set(chosen)) == len(chosen)
    assert all(0 < write <= writes and seed >= 0 for write, seed in chosen)
    assert {seed for _, seed in chosen} >= {0}
