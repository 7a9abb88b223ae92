"""Let a full system collect its own dump after its re-IPL, with its own zgetdump."""

from __future__ import annotations

import os
from pathlib import Path

from harness.deadline import Deadline
from harness.evidence.own_dump import OwnDump
from harness.machine.inside.script import ask
from harness.machine.system.shell import Shell
from harness.qemu.disk import Disk
from harness.s390x.wiring import EXCHANGE_LUN

_HEADERS = 64 << 20  # more than zgetdump writes beside memory


def exchange_disk(path: Path, memory: int) -> Disk:
    """An empty disk at ``path`` that takes a dump of ``memory`` bytes out of the system."""
    with path.open("xb") as file:
        file.truncate(memory + _HEADERS)
    return Disk(path, lun=EXCHANGE_LUN)


def collect(shell: Shell, deadline: Deadline) -> OwnDump:
    """Run images/system/own-dump, which finds the dump, and leaves its copy on the exchange disk.

    That it finds none, or cannot copy it, is no error but a fact of the system. Raises what
    ``Shell.run`` raises, and ProtocolError.
    """
    return ask(shell, "own-dump", OwnDump.parse, deadline, str(EXCHANGE_LUN))


def take(disk: Disk, own: OwnDump, dump: Path) -> OwnDump:
    """Make the copy on the exchange ``disk``, after QEMU has ended, the file ``dump``.

    A copy that the system says is larger than that disk is none.
    """
    room = disk.path.stat().st_size
    if own.size is None or own.size > room:
        disk.path.unlink()
        if own.size is None:
            return own
        why = f"it says that its copy has {own.size} bytes, and the disk for it has {room}"
        return own.model_copy(update={"size": None, "error": why})
    os.truncate(disk.path, own.size)
    disk.path.rename(dump)
    return own
