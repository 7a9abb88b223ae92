"""Booting a system: by QEMU's own loader, or from the system's own SCSI disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.evidence.snapshot import SYSTEM_IMAGE
from harness.files import sparse
from harness.firmware.load import ordinary_load
from harness.machine.steps import Steps
from harness.machine.system.running import RunningSystem
from harness.machine.system.session import SystemSession
from harness.qemu.binary import QemuBinary
from harness.qemu.disk import Disk
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.s390x.ipl import fcp_block
from harness.s390x.wiring import SYSTEM_DISK


@dataclass(frozen=True)
class Booter:
    """What every boot needs besides the machine: which QEMU, whom to tell."""

    binary: QemuBinary
    steps: Steps
    on_line: Callable[[str], None] | None = None

    @contextmanager
    def booted(
        self,
        spec: MachineSpec,
        directory: Path,
        system_disk: Path | None = None,
        ipl_block: bytes | None = None,
        phase: str = "boot",
    ) -> Iterator[RunningSystem]:
        """A system with its shell's prompt, for the length of a ``with`` block.

        With ``system_disk`` a copy of it, in ``directory``, is IPLed instead of the spec's
        kernel, as ``ipl_block`` says. Raises PhaseTimeout if the system does not come up,
        HarnessError if it panics before, HostError if memory or space lack.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if system_disk is not None:
            sparse.copy(system_disk, directory / SYSTEM_IMAGE)
            spec = _from_disk(spec, Disk.of_system(directory / SYSTEM_IMAGE))
        with (
            GuestRam.create(spec.memory) as ram,
            Qemu.start(self.binary, spec, ram, directory, name=phase, on_line=self.on_line) as qemu,
        ):
            session = None
            if system_disk is not None:
                block = ipl_block or fcp_block(SYSTEM_DISK, dump=False)
                session = SystemSession(qemu, ram, ordinary_load(ram, block), self.steps)
            system = RunningSystem(qemu, ram, session, self.steps)
            with self.steps.phase(phase) as deadline:
                system.boot(phase, deadline)
            yield system


def _from_disk(spec: MachineSpec, disk: Disk) -> MachineSpec:
    return replace(
        spec,
        kernel=None,
        initrd=None,
        append=None,
        disks=(disk,),
        paused=True,
        gdb=True,
    )
