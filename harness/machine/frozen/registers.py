"""Registers as QEMU's human monitor shows them.

The condition code is only there: TCG keeps it apart from the PSW (``env.cc_op``), and neither the
notes of a memory dump nor a device state have it (QEMU ``target/s390x/cpu-dump.c``).
"""

from __future__ import annotations

import re

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.qemu.monitor import Monitor

_PSW = re.compile(r"PSW=mask ([0-9a-f]{16}) addr [0-9a-f]{16} cc +(\w+)")
_WAIT = 1 << 49  # PSW bit 14
_ENABLED = 1 << 57 | 1 << 56  # PSW bits 6 and 7: I/O and external interruptions
_CC_0 = "00"  # not one that is still to be computed


def shown_registers(monitor: Monitor, cpus: int, deadline: Deadline) -> tuple[str, ...]:
    """PSW, general, access, control and vector registers of each CPU of a stopped machine."""
    return tuple(_shown(monitor, cpu, deadline) for cpu in range(cpus))


def waits(registers: str) -> bool:
    """Whether a CPU is in an enabled wait, with condition code 0.

    Raises ProtocolError if QEMU shows no PSW.
    """
    found = _PSW.search(registers)
    if found is None:
        raise ProtocolError("QEMU's 'info registers' shows no PSW with a condition code")
    mask = int(found[1], 16)
    return bool(mask & _WAIT) and mask & _ENABLED == _ENABLED and found[2] == _CC_0


def _shown(monitor: Monitor, cpu: int, deadline: Deadline) -> str:
    command = {"command-line": "info registers", "cpu-index": cpu}
    return str(monitor.execute("human-monitor-command", command, deadline=deadline))
