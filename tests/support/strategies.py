"""Hypothesis strategies shared by the unit tests."""

from __future__ import annotations

from hypothesis import strategies as st

from harness.s390x.cpu import CpuState


def unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


def registers(bits: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[unsigned(bits)] * 16)


cpu_states = st.builds(
    CpuState,
    psw_mask=unsigned(64),
    psw_addr=unsigned(64),
    gprs=registers(64),
    acrs=registers(32),
    crs=registers(64),
    fprs=registers(64),
    fpc=unsigned(32),
    prefix=unsigned(32),
    tod_programmable=unsigned(32),
    cpu_timer=unsigned(64),
    clock_comparator=unsigned(64),
    vxrs_low=registers(64),
    vxrs_high=registers(128),
)
