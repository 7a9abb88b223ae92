from __future__ import annotations

import json

import pytest
from hypothesis import given

from harness.s390x.cpu import CpuState
from tests.support.strategies import cpu_states


@given(cpu_states)
def test_json_round_trip(cpu: CpuState):
    assert CpuState.from_json(json.loads(json.dumps(cpu.to_json()))) == cpu


@given(cpu_states)
def test_left_halves_of_the_first_vectors_are_the_fprs(cpu: CpuState):
    assert len(cpu.vxrs) == 32
    assert tuple(vector >> 64 for vector in cpu.vxrs[:16]) == cpu.fprs
    assert tuple(vector & (1 << 64) - 1 for vector in cpu.vxrs[:16]) == cpu.vxrs_low
    assert cpu.vxrs[16:] == cpu.vxrs_high


def test_missing_register_is_refused(cpu: CpuState):
    data = cpu.to_json()
    del data["prefix"]
    with pytest.raises(KeyError, match="prefix"):
        CpuState.from_json(data)


def test_an_invalid_number_is_refused(cpu: CpuState):
    with pytest.raises(ValueError, match="fpc: not hexadecimal"):
        CpuState.from_json(cpu.to_json() | {"fpc": "zz"})
