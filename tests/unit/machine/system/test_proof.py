"""The content of memory that proves the expected crash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.machine.system.proof import must_prove
from harness.qemu.ram import GuestRam
from harness.s390x.lowcore import RESTART_OLD_PSW
from harness.triggers.trigger import Trigger
from tests.support.cpus import make_cpu

PREFIX = 0x8000
RESTART = Trigger("restart-x", "", "true", "", restart=True)
LOG = Trigger("x", "", "true", "", log=r"reboot: System \w+")


@pytest.fixture
def ram():
    with GuestRam(1 << 20) as ram:
        yield ram


def prove(trigger, ram):
    must_prove(trigger, ram, [replace(make_cpu(1), prefix=PREFIX), make_cpu(2)])


def test_a_restart_is_an_old_psw_of_cpu_0(ram):
    ram.map[RESTART_OLD_PSW : RESTART_OLD_PSW + 16] = b"x" * 16  # not below the prefix
    with pytest.raises(HarnessError, match="restart-x: CPU 0 has no restart old PSW"):
        prove(RESTART, ram)
    ram.map[PREFIX + RESTART_OLD_PSW + 15] = 1
    prove(RESTART, ram)


def test_a_log_is_somewhere_in_memory(ram):
    with pytest.raises(HarnessError, match="is not in the kernel's log"):
        prove(LOG, ram)
    ram.map[0x12345:0x12358] = b"reboot: System halt"
    prove(LOG, ram)


@pytest.mark.parametrize("name", ["psw_mask", "fpc", "tod_programmable", "clock_comparator"])
def test_no_register_may_be_zero(ram, name):
    trigger = Trigger("x", "", "true", "", registers=True)
    must_prove(trigger, ram, [make_cpu(1), make_cpu(2)])
    with pytest.raises(HarnessError, match=f"x: 1 registers are zero: CPU 1: {name}"):
        must_prove(trigger, ram, [make_cpu(1), replace(make_cpu(2), **{name: 0})])


@pytest.mark.parametrize("bank", ["gprs", "acrs", "crs", "fprs", "vxrs_low", "vxrs_high"])
def test_no_register_of_a_bank_may_be_zero(ram, bank):
    trigger = Trigger("x", "", "true", "", registers=True)
    values = getattr(make_cpu(2), bank)
    with pytest.raises(HarnessError, match=rf"1 registers are zero: CPU 1: {bank}\[15\]"):
        must_prove(trigger, ram, [make_cpu(1), replace(make_cpu(2), **{bank: (*values[:15], 0)})])


def test_a_register_that_is_not_known_is_as_bad_as_zero(ram):
    trigger = Trigger("x", "", "true", "", registers=True)
    with pytest.raises(HarnessError, match="CPU 0: vxrs_low, CPU 0: vxrs_high"):
        must_prove(trigger, ram, [make_cpu(1).without_vectors()])
