"""What a device state says of the CPUs: whether an interruption is pending.

TCG's pending interruptions of a CPU (external call, emergency signal, clock comparator, stop) are
in no state: ``env.pending_int`` is not a field of ``vmstate_s390_cpu`` (QEMU 7.2 to 11.1,
``target/s390x/machine.c``). Those of the machine (I/O, service signals) are in it since QEMU 9.1
only (``hw/intc/s390_flic.c``). But whatever makes one pending sets CPU_INTERRUPT_HARD in the
``interrupt_request`` of the CPUs that may take it, and that is a field of ``cpu_common``
(``cpu_inject_*`` and ``qemu_s390_flic_notify``).

A section of the stream is: X'04', its id (4 bytes), the length of its name (1), the name, the
instance (4), the version (4), the fields (``migration/savevm.c``, save_section_header).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import ProtocolError

# fields of vmstate_cpu_common: halted, interrupt_request (each 4 bytes)
_CPU_COMMON = re.compile(rb"\x04.{4}\x0acpu_common(.{4}).{4}(.{4})(.{4})", re.DOTALL)


@dataclass(frozen=True)
class CpuExecution:
    """Whether a CPU waits (``halted``), and its ``interrupt_request``: 0 if nothing is pending."""

    halted: bool
    interrupt_request: int


def cpus_in(state: bytes, cpus: int) -> tuple[CpuExecution, ...]:
    """Every CPU in a device state, by number; raises ProtocolError unless there are ``cpus``."""
    found = {
        int.from_bytes(number, "big"): CpuExecution(any(halted), int.from_bytes(request, "big"))
        for number, halted, request in _CPU_COMMON.findall(state)
    }
    if sorted(found) != list(range(cpus)):
        raise ProtocolError(
            f"QEMU's state tells of the CPUs {sorted(found)}, but the machine has {cpus}"
        )
    return tuple(found[number] for number in range(cpus))
