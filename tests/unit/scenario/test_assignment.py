"""Fields that are set by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.assignment import assigned, assignment


@pytest.mark.parametrize(
    ("word", "section", "field", "value"),
    [
        ("smp=3", "crashed", "smp", 3),
        ("crashed.memory=1G", "crashed", "memory", "1G"),
        ("expect.reipl=true", "expect", "reipl", True),
        ("crashed.cpu_model=max,vx=off", "crashed", "cpu_model", "max,vx=off"),
        ('faults.inject=["no-sdias"]', "faults", "inject", ["no-sdias"]),
        ("crashed.parmline=a = 1", "crashed", "parmline", "a = 1"),
        ("crashed.parmline=", "crashed", "parmline", ""),
        ("crashed.parmline=1\nb = 2", "crashed", "parmline", "1\nb = 2"),
    ],
)
def test_what_is_set(word: str, section: str, field: str, value: Any):
    assert assigned([word]) == {section: {field: value}}


def test_the_last_one_counts():
    assert assigned(["smp=3", "crashed.smp=4"]) == {"crashed": {"smp": 4}}


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("smp", "'smp' sets nothing"),
        ("nonsense=1", "'nonsense': no such field"),
        ("dump.smp=1", "'dump.smp': no such field"),
        ("kernel=x", "'kernel': write crashed.kernel or dump.kernel"),
    ],
)
def test_what_sets_nothing(word: str, what: str):
    with pytest.raises(ValueError, match=what):
        assigned([word])


@given(
    st.one_of(
        st.booleans(),
        st.integers(-(2**31), 2**31),
        st.text(st.characters(min_codepoint=0x61, max_codepoint=0x7A), min_size=6, max_size=20),
        st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9)),
    )
)
def test_a_value_is_read_as_it_is_written(value: Any):
    (fields,) = assigned([assignment("crashed", "parmline", value)]).values()
    assert fields == {"parmline": value}
