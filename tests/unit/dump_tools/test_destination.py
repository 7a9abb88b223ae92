"""Where zfcpdump writes, read from its parameters as its own reader does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dump_tools.destination import Destination, destination
from tests.support.guests.dump_tool import tool

WORDS = st.lists(
    st.sampled_from(["dump_part=", "dump_dir=", "dump_mem=", "x="]).flatmap(
        lambda name: st.sampled_from(["1", "5", "0x3", "0", "-1", "x", "", "/", "/d/", "a/b"]).map(
            lambda value: name + value
        )
    ),
    max_size=6,
).map(" ".join)


@given(WORDS)
def test_as_the_tool_itself(words: str):
    known, ours = tool.Parameters(words), destination(words)
    assert (ours.partition or 1, ours.directory) == (known.part, known.dir)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ("", Destination(None, "/")),
        ("quiet dump_part=5 dump_dir=dumps/", Destination(5, "/dumps")),
        ("dump_part=5 dump_part=0", Destination(5, "/")),
    ],
)
def test_examples(words: str, where: Destination):
    assert destination(words) == where
