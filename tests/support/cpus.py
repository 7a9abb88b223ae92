"""CPUs of a crashed system."""

from __future__ import annotations

from harness.s390x.cpu import CpuState


def make_cpu(seed: int) -> CpuState:
    """A CPU in which every register has a different value."""

    def value(bits: int, number: int) -> int:
        return (seed * 0x1_0001_0001 + number * 0x9E3779B97F4A7C15 + 1) % (1 << bits)

    def bank(bits: int, first: int, count: int = 16) -> tuple[int, ...]:
        return tuple(value(bits, first + number) for number in range(count))

    return CpuState(
        psw_mask=value(64, 1),
        psw_addr=value(64, 2),
        gprs=bank(64, 10),
        acrs=bank(32, 30),
        crs=bank(64, 50),
        fprs=bank(64, 70),
        fpc=value(32, 3),
        prefix=0x8000 * (seed + 1),
        tod_programmable=value(32, 4),
        cpu_timer=value(64, 5),
        clock_comparator=value(64, 6),
        vxrs_low=bank(64, 90),
        vxrs_high=bank(128, 110),
    )
