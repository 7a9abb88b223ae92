"""The phases as a bar: whatever times there are, it fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.page.phase_bar import WIDTH, phase_bar


def test_phases_stand_in_the_order_of_a_run():
    parts = phase_bar({"verify": 1.0, "dump": 2.0, "boot": 1.0})
    assert [part.name for part in parts] == ["boot", "dump", "verify"]
    assert [part.x for part in parts] == [0, 250, 750]
    assert parts[1].share == pytest.approx(0.5)


def test_without_time_there_is_no_width():
    (part,) = phase_bar({"boot": 0.0})
    assert part.width == 0
    assert phase_bar({}) == []


@given(st.dictionaries(st.text(), st.floats(0, allow_infinity=False), max_size=40))
def test_any_times_fit(timings):
    parts = phase_bar(timings)
    assert len(parts) == min(len(timings), 16)
    for part in parts:
        assert part.x >= 0
        assert part.x + part.width <= WIDTH + 0.1
