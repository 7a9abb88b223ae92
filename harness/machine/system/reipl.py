"""Load the original system again after its dump, as the dump system requested."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from harness.evidence.names import OUTCOME, SYSTEM_IMAGE
from harness.evidence.outcome import ReIplOutcome
from harness.evidence.snapshot import Snapshot
from harness.machine.system.boot import Booter
from harness.phase import Phase
from harness.qemu.spec import MachineSpec
from harness.s390x.ipl import BlockDevice, block_device
from harness.s390x.wiring import SYSTEM_DISK
from harness.ssh.handshake import Login


def reipl(
    booter: Booter,
    snapshot: Snapshot,
    block: bytes,
    directory: Path,
    login: Login | None = None,
) -> ReIplOutcome:
    """Load the disk that ``block`` names; the system's disk is as it was at the crash.

    ``login`` is that of a full system, as in ``Booter.booted``.

    Console log, QEMU argv and outcome go to ``directory``. A block that names no disk of the
    crashed system is an outcome; a system that does not come up from its own disk raises
    PhaseTimeout or HarnessError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    named, disk = block_device(block), snapshot.system_disk
    loaded = disk is not None and named == BlockDevice(SYSTEM_DISK, dump=False)
    outcome = ReIplOutcome(str(named), loaded)
    if loaded:
        spec = MachineSpec(
            memory=snapshot.memory,
            cpus=len(snapshot.cpus),
            cpu_model=str(snapshot.machine["cpu_model"]),
        )
        with booter.booted(spec, directory, disk, block, Phase.REIPL, login=login):
            booter.phases.note("the original system is up again")
        (directory / SYSTEM_IMAGE).unlink()
    # last, so that an unfinished load is not taken for one that failed
    (directory / OUTCOME).write_text(json.dumps(asdict(outcome), indent=1) + "\n")
    return outcome
