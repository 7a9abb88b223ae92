"""A kdump by itself: it does not have the memory in which the kdump kernel ran."""

from __future__ import annotations

import struct

import pytest

from harness.dump.linux import os_info
from harness.s390x.zipl import cksm
from tests.support.dumps.alone import CRASHED, checked, read
from tests.support.evidence import IDENTITY_BASE, MEMORY, PAGE, Load, vmcore
from tests.support.kernels.crashed_kernel import put

OS_INFO, GAP = 0x8000, (0x380000, 0x390000)


@pytest.mark.parametrize(("told", "red"), [(GAP, False), ((0x380000, 0x388000), True)])
def test_the_memory_that_kdump_runs_in_is_not_in_its_dump(told: tuple[int, int], red: bool):
    memory = bytearray(CRASHED.memory())
    tail = struct.pack(">2H2Q", 1, 1, told[0], told[1] - told[0]).ljust(PAGE - 12, b"\0")
    put(memory, os_info.LOWCORE_OS_INFO, ">Q", OS_INFO)
    put(memory, OS_INFO, ">QI", os_info.MAGIC, cksm(tail, seed=0))
    memory[OS_INFO + 12 : OS_INFO + PAGE] = tail
    parts = ((0, GAP[0]), (GAP[1], MEMORY))
    loads = [Load(start, end - start, IDENTITY_BASE + start) for start, end in parts]
    result = checked(read(vmcore(bytes(memory), CRASHED.cpus, loads=loads)))["memory-map"]
    assert [finding.message for finding in result.findings] == (
        ["no PT_LOAD covers 0x380000-0x38ffff"] if red else []
    )
    assert result.notes == (
        () if red else ("no PT_LOAD covers 0x380000-0x38ffff: memory that was kept for kdump",)
    )
