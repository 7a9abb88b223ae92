from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.firmware.hsa import Hsa
from harness.s390x.storestatus import status_area
from tests.support.memory import FakeStorage
from tests.support.strategies import cpu_states

PAGE = 4096
MEMORY = random.Random(1).randbytes(16 * PAGE)
HSA_PAGES = 8


@given(cpu=cpu_states, page=st.integers(-2, 20), count=st.integers(-1, 20))
def test_reads_saved_memory_with_the_status_area_in_place(cpu, page, count):
    expected = bytearray(MEMORY[: HSA_PAGES * PAGE])
    expected[0x1200:0x1400] = status_area(cpu)
    hsa = Hsa(FakeStorage(MEMORY), HSA_PAGES * PAGE, cpu)
    if page >= 0 and count > 0:
        assert hsa.read(page, count) == bytes(expected[page * PAGE : (page + count) * PAGE])
    else:
        assert hsa.read(page, count) == b""


@given(cpu=cpu_states)
def test_gives_nothing_once_released(cpu):
    hsa = Hsa(FakeStorage(MEMORY), HSA_PAGES * PAGE, cpu)
    assert hsa.read(0, 1)
    hsa.release()
    assert hsa.read(0, 1) == b""


@pytest.mark.parametrize("size", [0, -PAGE, PAGE + 1])
def test_refuses_a_size_that_no_machine_has(size, cpu):
    with pytest.raises(ValueError, match="HSA size"):
        Hsa(FakeStorage(MEMORY), size, cpu)


def test_a_memory_that_is_smaller_is_there_as_a_whole(cpu):
    hsa = Hsa(FakeStorage(MEMORY), 20 * PAGE, cpu)
    assert hsa.pages == 20, "what the machine tells"
    assert hsa.held(0, 20) == 16
    assert hsa.held(16, 1) == 0
    assert len(hsa.read(15, 5)) == PAGE
