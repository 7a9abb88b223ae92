"""What a machine does at its deadline, as far as that can be found out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import PhaseTimeout, ProtocolError
from harness.qemu.moment import moment_of
from harness.qemu.scheduling import Scheduling

REGISTERS = """
CPU#0
PSW=mask 0706c00180000000 addr 00000000000a1b2c cc 00
R00=0000000000000000

CPU#1
PSW=mask 0704c00180000000 addr 0000000000100000 cc 02
"""


def qemu(scheduling: Scheduling | None, said: str | Exception) -> Any:
    def human_command(line: str, deadline: object) -> str:
        assert line == "info registers -a"
        if isinstance(said, Exception):
            raise said
        return said

    return SimpleNamespace(scheduling=lambda: scheduling, human_command=human_command)


def test_a_guest_that_waits_on_a_host_that_has_time():
    found = qemu(Scheduling(False, {1: 0.4, 2: 0.2}, {1: 2.0, 2: 10.0}), REGISTERS)
    assert moment_of(found) == (
        "QEMU was on a CPU for 12 s and waited 0 s for one, "
        "CPU 0: PSW 0706c00180000000 00000000000a1b2c (waits), "
        "CPU 1: PSW 0704c00180000000 0000000000100000"
    )


@pytest.mark.parametrize("scheduling", [None, Scheduling(False)])
@pytest.mark.parametrize("said", ["", ProtocolError("no answer")])
def test_what_is_not_known_is_left_out(scheduling, said):
    assert moment_of(qemu(scheduling, said)) == ""


def test_the_message_of_a_deadline_has_it():
    error = PhaseTimeout("crash", "the prompt", 3, ("a",), "CPU 0 waits")
    assert error.message == (
        "phase crash: waited 3 s for the prompt; CPU 0 waits; last console lines:\n  | a"
    )
    assert "; last console" in PhaseTimeout("crash", "the prompt", 3).message
