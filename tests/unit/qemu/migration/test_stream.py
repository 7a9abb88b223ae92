"""Which interruptions are pending, from a device state."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.qemu.migration.stream import CpuExecution, cpus_in
from tests.support.qemu.device_state import cpu_section, section, word

WORDS = st.integers(0, (1 << 32) - 1)


@given(st.lists(st.tuples(st.booleans(), WORDS, WORDS), min_size=1, max_size=8))
def test_every_cpu_of_a_state_is_told(cpus):
    state = b"QEVM" + word(3) + section(b"timer", 0, bytes(24))
    for number, (halted, request, identifier) in enumerate(cpus):
        state += cpu_section(number, halted=halted, request=request, number=identifier)
        state += section(b"cpu", number, bytes(600))
    assert cpus_in(state, len(cpus)) == tuple(
        CpuExecution(halted, request) for halted, request, _ in cpus
    )


def test_the_order_of_the_sections_does_not_matter():
    state = cpu_section(1, halted=0, request=2) + cpu_section(0, halted=1, request=0)
    assert cpus_in(state, 2) == (CpuExecution(True, 0), CpuExecution(False, 2))


def test_bytes_like_line_ends_are_bytes_like_others():
    line_ends = 0x0A0A0A0A
    assert cpus_in(cpu_section(0, halted=1, request=line_ends, number=line_ends), 1) == (
        CpuExecution(True, line_ends),
    )


@pytest.mark.parametrize(
    "state",
    [
        b"",
        cpu_section(0, halted=1, request=0),
        cpu_section(0, halted=1, request=0) + cpu_section(2, halted=1, request=0),
    ],
)
def test_a_state_that_does_not_tell_every_cpu_is_refused(state):
    with pytest.raises(ProtocolError, match=re.escape("but the machine has 2")):
        cpus_in(state, 2)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(noise):
    with pytest.raises(ProtocolError):
        cpus_in(noise, 1)
