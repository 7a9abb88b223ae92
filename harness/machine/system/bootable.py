"""A system that can be booted, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.qemu.spec import MachineSpec
from harness.ssh.handshake import Login


@dataclass(frozen=True)
class Bootable:
    """A machine, and the system that is loaded into it.

    Without ``system_disk`` QEMU loads the spec's kernel. With it a copy of that disk is IPLed, as
    ``ipl_block`` says; the spec's disks are there beside it. With ``direct``, too, the spec's
    kernel is loaded, and has that copy as its disk. With ``login`` the system is a full one: its
    shell is reached over SSH, and it is up when it lets that user in.
    """

    spec: MachineSpec
    system_disk: Path | None = None
    ipl_block: bytes | None = None
    login: Login | None = None
    direct: bool = False

    @property
    def loads_itself(self) -> bool:
        """Whether it is IPLed from its own disk, so that the harness plays for it."""
        return self.system_disk is not None and not self.direct
