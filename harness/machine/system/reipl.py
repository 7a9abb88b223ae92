"""Load the original system again after its dump, as the dump system requested."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from harness.evidence.names import DUMP, OUTCOME, SYSTEM_IMAGE
from harness.evidence.outcome import ReIplOutcome
from harness.evidence.snapshot import Snapshot
from harness.machine.inside import own_dump
from harness.machine.inside.condition import condition_of
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.phase import Phase
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec
from harness.s390x.ipl import BlockDevice, block_device
from harness.s390x.wiring import SYSTEM_DISK
from harness.ssh.handshake import Login

_EXCHANGE = "exchange.img"


@dataclass(frozen=True)
class Again:
    """What is asked of a system that is loaded again.

    ``login`` is that of a full system, which then tells how it is. With ``dump_disk``, which it
    cannot write to, it has to collect its dump from there.
    """

    login: Login | None = None
    dump_disk: Disk | None = None


NOTHING_ASKED = Again()


def reipl(
    booter: Booter, snapshot: Snapshot, block: bytes, directory: Path, again: Again = NOTHING_ASKED
) -> ReIplOutcome:
    """Load the disk that ``block`` names; the system's disk is as it was at the crash.

    Console log, QEMU argv and outcome go to ``directory``, and the dump that the system collects.
    A block that names no disk of the crashed system is an outcome; a system that does not come up
    from its own disk raises PhaseTimeout or HarnessError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    named, disk = block_device(block), snapshot.system_disk
    outcome = ReIplOutcome(str(named), disk is not None and _is_system(named))
    if disk is not None and outcome.loaded:
        outcome = _load(booter, snapshot, block, directory, again, disk, outcome)
        (directory / SYSTEM_IMAGE).unlink()
    # last, so that an unfinished load is not taken for one that failed
    (directory / OUTCOME).write_text(json.dumps(outcome.to_json(), indent=1) + "\n")
    return outcome


def _is_system(named: BlockDevice | None) -> bool:
    return named == BlockDevice(SYSTEM_DISK, dump=False)


def _load(
    booter: Booter,
    snapshot: Snapshot,
    block: bytes,
    directory: Path,
    again: Again,
    disk: Path,
    outcome: ReIplOutcome,
) -> ReIplOutcome:
    spec = MachineSpec(
        memory=snapshot.memory,
        cpus=len(snapshot.cpus),
        cpu_model=str(snapshot.machine["cpu_model"]),
    )
    exchange = None
    if again.dump_disk is not None:
        exchange = own_dump.exchange_disk(directory / _EXCHANGE, snapshot.memory)
        dumped = replace(again.dump_disk, boot=False, read_only=True)
        spec = replace(spec, disks=(dumped, exchange))
    own = None
    original = Bootable(spec, disk, block, again.login)
    with booter.booted(original, directory, Phase.REIPL) as system:
        booter.phases.note("the original system is up again")
        if again.login is not None:
            with booter.phases.phase(Phase.REIPL) as deadline:
                condition = condition_of(system.shell, deadline)
                outcome = replace(outcome, condition=condition)
                if exchange is not None:
                    own = own_dump.collect(system.shell, deadline)
    if exchange is not None and own is not None:
        outcome = replace(outcome, own_dump=own_dump.take(exchange, own, directory / DUMP))
    return outcome
