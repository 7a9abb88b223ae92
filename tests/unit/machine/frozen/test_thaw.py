"""A thawed system goes on only if it is the one that was frozen."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.machine.frozen.thaw import require_equal

FROZEN = ("R00=0 R01=1", "R00=2 R01=3")


def qemu(*shown: str) -> SimpleNamespace:
    def execute(command, arguments, *, deadline) -> str:
        return shown[arguments["cpu-index"]]

    return SimpleNamespace(monitor=SimpleNamespace(execute=execute))


def test_equal_registers_are_right():
    require_equal(qemu(*FROZEN), FROZEN, Deadline(10))


@pytest.mark.parametrize("cpu", [0, 1])
def test_a_register_that_differs_is_an_error_that_names_the_cpu(cpu):
    shown = [*FROZEN]
    shown[cpu] = "R00=9 R01=3"
    with pytest.raises(ProtocolError, match=f"registers of CPU {cpu} of a frozen system"):
        require_equal(qemu(*shown), FROZEN, Deadline(10))
