"""Stop a running system for a dump, and freeze what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import clock
from harness.deadline import Deadline
from harness.dump.formats.elf.reader import ElfDump
from harness.errors import ProtocolError
from harness.evidence.held import System, When
from harness.evidence.names import RAM
from harness.evidence.snapshot import Snapshot
from harness.host.paths import data_dir
from harness.machine.hold.keeper import Kept
from harness.machine.inside.condition import condition_of
from harness.machine.inside.witness import gather
from harness.machine.inside.workload import AtWork, digest_of, start
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.machine.system.proof import must_prove
from harness.machine.system.running import RunningSystem
from harness.machine.system.shell import Shell
from harness.machine.system.stop import stop
from harness.phase import Phase
from harness.qemu.process import Qemu
from harness.qemu.spec import MachineSpec
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import PAGE_SIZE
from harness.triggers.system_kind import SystemKind
from harness.triggers.trigger import MODULE_PATH, SystemFile, Trigger
from harness.triggers.workloads import Workload

STAND_STILL_SECONDS = 60.0  # of a machine that is kept


@dataclass(frozen=True)
class Crash:
    """How a system is crashed. ``content_seed``: the seed of content that it plants before.

    ``trigger`` is in the form for ``system`` (``Trigger.on``). ``module`` is ``zcrash.ko`` for a
    system that does not have it. ``witnesses``: whether it is asked what it looks like, just
    before; ``condition``: how it is, to be compared with how it is after a re-IPL.
    """

    trigger: Trigger
    workload: Workload | None = None
    content_seed: int | None = None
    system: SystemKind = SystemKind.MINIMAL
    module: Path | None = None
    witnesses: bool = False
    condition: bool = False

    def identity(self) -> dict[str, Any]:
        """JSON: what determines the crash; raises UsageError if a script cannot be read."""
        workload = self.workload
        files = {file.target: _image_file(file).read_text() for file in self.trigger.files}
        return {
            "trigger": repr(self.trigger),
            "workload": None if workload is None else workload.identity(digest_of(workload)),
            "content_seed": self.content_seed,
            **({"files": files} if files else {}),
            **({"witnesses": _script("witness")} if self.witnesses else {}),
            **({"condition": _script("condition")} if self.condition else {}),
        }

    def prepare(self, shell: Shell, deadline: Deadline) -> AtWork | None:
        """Do everything that comes before the trigger; returns the proof of the workload.

        Raises what ``Shell.run`` raises; HarnessError if the system is not at work.
        """
        for file in self.trigger.files:
            shell.put(_image_file(file), file.target, deadline)
            shell.run(f"chmod {file.mode:o} {file.target}", deadline)
        if self.module is not None:
            shell.put(self.module, MODULE_PATH, deadline)
        for command in self.trigger.setup:
            shell.run(command, deadline)
        if self.content_seed is not None:
            shell.run(f"plant {self.content_seed}", deadline)
        return None if self.workload is None else start(self.workload, shell, deadline)


def crash(
    booter: Booter,
    system: Bootable,
    how: Crash,
    directory: Path,
    kernel: Mapping[str, Any],
) -> Snapshot:
    """Boot ``system``, crash it, and leave a snapshot in ``directory``.

    ``kernel`` is what the snapshot shall say of the kernel (JSON). Raises what ``Booter.booted``
    raises; PhaseTimeout too if the system does not stop, HarnessError if it stops otherwise than
    the trigger says.
    """
    started = clock.now()
    dies = how.trigger.console if how.trigger.in_boot else ""
    with booter.booted(system, directory, dies=dies) as running:
        boot_seconds = clock.now() - started
        remains = crash_booted(booter, running, system.spec, how, directory, kernel, boot_seconds)
    return Snapshot.create(directory, *remains)


def crash_booted(
    booter: Booter,
    system: RunningSystem,
    spec: MachineSpec,
    how: Crash,
    directory: Path,
    kernel: Mapping[str, Any],
    boot_seconds: float,
) -> tuple[tuple[CpuState, ...], Mapping[str, Any]]:
    """Crash a system that is up, and save its memory in ``directory``.

    Returns the other arguments of ``Snapshot.create``. Call that after QEMU has ended, because only
    then console log and system disk are complete. Raises as ``crash`` does.
    """
    with booter.phases.phase(Phase.CRASH) as deadline:
        at_work = how.prepare(system.shell, deadline)
        condition = condition_of(system.shell, deadline) if how.condition else None
        if how.witnesses:
            gather(system.shell, deadline).save(directory)
        panic = stop(system, how.trigger, booter.phases, deadline)
    with booter.phases.phase(Phase.SNAPSHOT) as deadline:
        cpus = cpu_states(system.qemu, directory, deadline)
        system.ram.save(directory / RAM)
        must_prove(how.trigger, system.ram, cpus)
    _keep(booter, system, how.trigger)
    facts: dict[str, Any] = {
        "kernel": dict(kernel),
        "qemu": booter.binary.release,
        "boot_seconds": round(boot_seconds, 3),
        "panic": dict(panic),
        "limits": list(system.qemu.console.limits),
    }
    if at_work is not None:
        facts |= at_work.to_json()
    if condition is not None:
        facts["condition"] = condition.model_dump()
    return cpus, _machine(spec, how, system.requested_block()) | facts


def _keep(booter: Booter, system: RunningSystem, trigger: Trigger) -> None:
    """Keep the crashed machine for a person, if that is wanted."""
    if booter.keeper is None or booter.keeper.when is not When.CRASH:
        return
    if system.session is not None:
        system.session.stop_playing(Deadline(STAND_STILL_SECONDS))
    booter.phases.note("kept for a person")
    why = f"{trigger.name}, {trigger.stopped.value}"
    booter.keeper.keep(Kept(system.qemu, system.ram, System.CRASHED, why, _no_firmware))
    booter.phases.note("released")


def _no_firmware() -> Mapping[str, Any]:
    """What the firmware knows: before a dump load there is no HSA, and nothing was asked."""
    return {}


def cpu_states(qemu: Qemu, directory: Path, deadline: Deadline) -> tuple[CpuState, ...]:
    """Every CPU's registers, from the notes of a one-page memory dump.

    The gdbstub of QEMU 7.2 has neither prefix nor timers under TCG; these notes do.
    """
    notes = directory / "cpus.elf"
    qemu.dump_memory(notes, PAGE_SIZE, deadline)
    try:
        with ElfDump.open(notes) as elf:
            cpus = elf.cpus
    finally:
        notes.unlink()
    whole = tuple(cpu.whole for cpu in cpus)
    if None in whole:
        raise ProtocolError(f"QEMU's notes of CPU {whole.index(None)} do not have all registers")
    return tuple(cpu for cpu in whole if cpu is not None)


def _image_file(file: SystemFile) -> Path:
    return data_dir() / "images" / file.source


def _script(name: str) -> str:
    """What a script asks is part of the crash: another one has other answers."""
    return (data_dir() / "images/system" / name).read_text()


def _machine(spec: MachineSpec, how: Crash, dump_block: bytes | None) -> dict[str, Any]:
    """The content of ``machine.json``."""
    return {
        "memory": spec.memory,
        "cpu_model": spec.cpu_model,
        "system": how.system.value,
        "trigger": how.trigger.name,
        "stopped": how.trigger.stopped.value,
        "workload": None if how.workload is None else how.workload.name,
        "content_seed": how.content_seed,
        "parmline": spec.append,
        "dump_block": None if dump_block is None else dump_block.hex(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
