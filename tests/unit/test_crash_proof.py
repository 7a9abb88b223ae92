"""What memory must hold to show that a system died as it was told to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.machine.crash import must_prove
from harness.qemu.ram import GuestRam
from harness.s390x.lowcore import RESTART_OLD_PSW
from harness.scenario.trigger import Trigger
from tests.unit.conftest import make_cpu

PREFIX = 0x8000
RESTART = Trigger("restart-x", "", "true", "", restart=True)
LOG = Trigger("x", "", "true", "", log=r"reboot: System \w+")


@pytest.fixture
def ram():
    with GuestRam(1 << 20) as ram:
        yield ram


def prove(trigger, ram):
    must_prove(trigger, ram, replace(make_cpu(1), prefix=PREFIX))


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
