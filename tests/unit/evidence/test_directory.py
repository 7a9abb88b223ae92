"""Evidence directories of several runs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.directory import directory_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["panic"], ["panic"]),
        (["hsa[hsa_size=32M]", "hsa[hsa_size=64M]"], ["hsa-hsa_size=32M", "hsa-hsa_size=64M"]),
        (["panic#1", "panic#2"], ["panic-1", "panic-2"]),
        (["a", "a", "A", "a-2"], ["a", "a-2", "A-3", "a-2-2"]),
        (
            ["x[kernel=/boot/vmlinuz]", "../up", "..", ""],
            ["x-kernel=-boot-vmlinuz", "up", "run", "run-2"],
        ),
    ],
)
def test_names_stay_readable(names, expected):
    assert directory_names(names) == expected


@given(st.lists(st.text() | st.text("aA[]/#-.2", max_size=4)))
def test_any_names_become_good_and_different(names):
    chosen = directory_names(names)
    assert len(chosen) == len(names)
    assert len({name.casefold() for name in chosen}) == len(names)
    for name in chosen:
        assert re.fullmatch(r"[A-Za-z0-9,=_+][A-Za-z0-9.,=_+-]{0,99}", name)
