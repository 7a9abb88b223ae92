"""What a run promises of ``dump_mem`` is what the dump tool makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dump_tools.table import ZFCPDUMP
from tests.support.guests.dump_tool import tool
from tests.support.guests.other_tool import OTHER

MIB = 1 << 20


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("", None),
        ("quiet", None),
        ("dump_mem=all", None),
        ("dump_mem=1", None),  # zipl -d has no size
        ("dump_mem=67108864", 64 * MIB),
        ("dump_mem=0x4000000 dump_debug=3", 64 * MIB),
        ("dump_mem=5000000", 4997120),
        ("dump_mem=4095", None),
        ("dump_mem=0", None),
        ("dump_mem=-1", None),
        ("dump_mem=64M", None),
        ("dump_mem=", None),
        ("dump_mem", None),
        ("xdump_mem=8192", None),
        ("dump_mem=8192 dump_mem=x", 8192),
        ("dump_mem=8192 dump_mem=1", 8192),
        ("dump_mem=8192 dump_mem=all", None),
        ("dump_mem=8192 dump_mem=16384", 16384),
    ],
)
def test_the_limit(words: str, limit: int | None):
    assert ZFCPDUMP.limit(words) == limit
    assert tool.Parameters(words).mem == limit


VALUES = st.one_of(
    st.integers(-2, 1 << 20).map(str),
    st.sampled_from(["all", "1", "0x2000", "0b1" + "0" * 13, "1_0000", "08192", "+8192", "\u0661"]),
    st.text(alphabet="01x_ab-+ ", max_size=6),
)
WORDS = st.lists(st.builds("{}={}".format, st.sampled_from(["dump_mem", "dump_dir"]), VALUES))


@given(WORDS.map(" ".join))
def test_the_promise_is_what_the_tool_does(words: str):
    assert ZFCPDUMP.limit(words) == tool.Parameters(words).mem


def test_another_tool_knows_no_limit():
    assert OTHER.limit("dump_mem=67108864") is None
