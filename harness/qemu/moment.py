"""What a machine does at this moment: to tell a guest that hangs from a host without time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.qemu.process import Qemu

SECONDS = 10.0  # for the monitor's answer; a CPU that hangs in QEMU itself gives none
_WAIT = 1 << 49  # PSW bit 14 (Principles of Operation, chapter 4)
# QEMU 7.2 target/s390x/cpu-dump.c
_PSW = re.compile(r"CPU#(\d+)\s+PSW=mask ([0-9a-f]{16}) addr ([0-9a-f]{16})")
_MOST_CPUS = 8


def moment_of(qemu: Qemu) -> str:
    """In one line: how long QEMU ran and had to wait for a CPU of the host, and each CPU's PSW.

    What cannot be found out is left out. A machine that runs goes on running.
    """
    return ", ".join((*_host(qemu), *_cpus(qemu)))


def _host(qemu: Qemu) -> Iterator[str]:
    found = qemu.scheduling()
    if found is not None and found.used:
        used, waited = sum(found.used.values()), max(found.waited.values())
        yield f"QEMU was on a CPU for {used:.0f} s and waited {waited:.0f} s for one"


def _cpus(qemu: Qemu) -> Iterator[str]:
    with suppress(HarnessError):
        said = qemu.human_command("info registers -a", Deadline(SECONDS))
        for number, mask, address in _PSW.findall(said)[:_MOST_CPUS]:
            waits = " (waits)" if int(mask, 16) & _WAIT else ""
            yield f"CPU {number}: PSW {mask} {address}{waits}"
