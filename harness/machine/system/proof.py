"""Prove that the system crashed in the way of its trigger."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.files.sparse import data_extents
from harness.firmware.storage import within
from harness.machine.system.console import SystemConsole
from harness.qemu.ram import GuestRam
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import PAGE_SIZE, PSW_SIZE, RESTART_OLD_PSW
from harness.triggers.trigger import Trigger

SEARCH_BYTES = 1 << 20
SHOWN_REGISTERS = 8


def must_show(trigger: Trigger, console: SystemConsole, deadline: Deadline) -> None:
    """Raises HarnessError unless the console shows the trigger's text before the deadline."""
    if trigger.console and console.expect([trigger.console], deadline) is None:
        raise HarnessError(
            f"trigger {trigger.name}: the console does not show '{trigger.console}', so this "
            f"is another death; its last lines:{console.last_lines}"
        )


def must_prove(trigger: Trigger, ram: GuestRam, cpus: Sequence[CpuState]) -> None:
    """Raises HarnessError unless memory and registers show that it was this trigger.

    ``cpus`` are by CPU address. The console has been checked before.
    """
    if trigger.log:
        _must_log(trigger, ram)
    if trigger.registers:
        _must_have_values(trigger, cpus)
    # Linux restarts CPU 0 itself only to have it ask for a load (arch/s390/kernel/smp.c,
    # smp_call_ipl_cpu), which it does on CPU 0 already after the operator's restart
    old_psw = cpus[0].prefix + RESTART_OLD_PSW
    if trigger.restart and not (
        within(ram, old_psw, PSW_SIZE) and any(ram.read(old_psw, PSW_SIZE))
    ):
        raise HarnessError(
            f"trigger {trigger.name}: CPU 0 has no restart old PSW, so this is another death"
        )


def _must_have_values(trigger: Trigger, cpus: Sequence[CpuState]) -> None:
    zero = [f"CPU {at}: {name}" for at, cpu in enumerate(cpus) for name in cpu.zero_registers()]
    if zero:
        shown = ", ".join(zero[:SHOWN_REGISTERS]) + (", ..." if zero[SHOWN_REGISTERS:] else "")
        raise HarnessError(f"trigger {trigger.name}: {len(zero)} registers are zero: {shown}")


def _must_log(trigger: Trigger, ram: GuestRam) -> None:
    text = re.compile(trigger.log.encode())
    for offset, size in data_extents(ram.fd):
        for at in range(offset, offset + size, SEARCH_BYTES):
            if text.search(ram.read(at, min(SEARCH_BYTES + PAGE_SIZE, ram.size - at))):
                return
    raise HarnessError(f"trigger {trigger.name}: '{trigger.log}' is not in the kernel's log")
