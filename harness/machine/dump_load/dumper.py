"""A dump IPL: QEMU runs the processor and the devices, the firmware plays the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import clock
from harness.deadline import Deadline
from harness.dump_tools.tool import DumpTool, End
from harness.errors import HostError
from harness.evidence.held import System, When
from harness.evidence.names import DUMP_SYSTEM
from harness.evidence.outcome import DumpOutcome, Outcome
from harness.evidence.snapshot import Snapshot
from harness.faults.fault import Fault, Place
from harness.firmware.faults import FirmwareFaults
from harness.firmware.load import dump_load
from harness.machine.dump_load.boot_disk import BootDisk
from harness.machine.dump_load.console_watch import ConsoleWatch
from harness.machine.dump_load.disk_faults import DiskFaults
from harness.machine.dump_load.interference import Interference
from harness.machine.dump_load.old_memory import OldMemory
from harness.machine.dump_load.operator import Operator, Reply
from harness.machine.dump_load.other_disks import OtherDisks
from harness.machine.dump_load.power_cut import Recorder
from harness.machine.dump_load.request import OPERATOR, LoadRequest
from harness.machine.dump_load.session import LAST_WORDS_SECONDS, DumpSession, Ended
from harness.machine.hold.keeper import Keeper, Kept
from harness.machine.run_phases import RunPhases
from harness.phase import Phase
from harness.qemu.binary import QemuBinary
from harness.qemu.disk import Disk
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.ipl import load_parameters

STAND_STILL_SECONDS = 60.0
SAVE_SECONDS = 300.0  # for memory as large as the HSA

# how a machine may end whose tool is done
_ENDS = {
    Ended.POWERED_OFF: End.POWER_OFF,
    Ended.RE_IPL: End.RE_IPL,
    Ended.PANICKED: End.DISABLED_WAIT,  # QEMU calls every disabled wait a panic
}
# any other end counts, even if the tool has printed a result line
_OUTCOMES = {
    Ended.PANICKED: Outcome.PANICKED,
    Ended.STALLED: Outcome.STALLED,
    Ended.OUT_OF_TIME: Outcome.OUT_OF_TIME,
    Ended.STOPPED: Outcome.STOPPED,
    Ended.RESET: Outcome.RESET,
}


@dataclass(frozen=True)
class Dumper:
    """What a dump IPL needs besides crash and disk: which QEMU, whom to tell, which
    tool's words to understand.

    ``stall_seconds``: a dump system that neither prints nor calls the SCLP for so long hangs.
    ``keeper`` keeps the machine for a person. ``plugin`` lets QEMU hold a CPU.
    """

    binary: QemuBinary
    phases: RunPhases
    stall_seconds: float
    on_line: Callable[[str], None] | None
    tool: DumpTool
    keeper: Keeper | None = None
    plugin: Path | None = None

    def dump(
        self,
        snapshot: Snapshot,
        disk: Disk,
        layout: DiskLayout,
        hsa_size: int,
        directory: Path,
        faults: Sequence[Fault] = (),
        replies: Sequence[Reply] = (),
        request: LoadRequest = OPERATOR,
    ) -> DumpOutcome:
        """IPL ``disk`` (it is written to) over the crash in ``snapshot``.

        ``faults`` are what goes wrong on purpose. An operator at the console has these ``replies``.
        ``request`` is what is asked for, unless the crashed system has asked itself.

        Console log and QEMU argv go to ``directory``. A dump system that fails, panics, hangs,
        finds no end or says nothing is an outcome; only trouble of our own raises: PhaseTimeout,
        HarnessError, QemuDied, HostError.
        """
        directory.mkdir(parents=True, exist_ok=True)
        block = request.block(snapshot)
        disk = replace(disk, lun=request.lun_in(block))
        with OtherDisks(directory, request.other_luns) as others:
            disks = (disk, *others.disks)
            outcome = self._load(
                snapshot, block, disks, layout, hsa_size, directory, faults, replies
            )
            return replace(
                outcome, other_disks=request.other_luns, other_disks_changed=others.changed()
            )

    def _load(
        self,
        snapshot: Snapshot,
        block: bytes,
        disks: tuple[Disk, ...],
        layout: DiskLayout,
        hsa_size: int,
        directory: Path,
        faults: Sequence[Fault],
        replies: Sequence[Reply],
    ) -> DumpOutcome:
        """The load from the first of ``disks``, as ``block`` asks for it."""
        parameters, of_firmware = load_parameters(block), FirmwareFaults(faults)
        of_disk, of_system = DiskFaults(faults), Interference(faults, disks[0].attached)
        disk = of_disk.spoil(disks[0])
        recorder = None if of_disk.cut is None else Recorder(disk)
        if recorder is not None:
            disk = recorder.disk
        disks = (disk, *disks[1:])
        boot_disk = BootDisk(disk.path, disk.sector_size, parameters)
        spec = MachineSpec(
            memory=snapshot.memory,
            cpus=len(snapshot.cpus),
            cpu_model=str(snapshot.machine["cpu_model"]),
            disks=disks,
            loadparm=str(parameters.bootprog) if parameters.bootprog else "",
            paused=True,
            gdb=True,
            trace=None if recorder is None else recorder.trace,
            # what an operator does then needs a machine that is stopped
            plugin=None if of_system.wanted else self.plugin,
        )
        console, operator = ConsoleWatch(self.tool, self.on_line), Operator(replies)
        boot_disk.show_as_ipl()
        with (
            OldMemory(snapshot) as old_memory,
            GuestRam.from_image(snapshot.ram_image) as ram,
            Qemu.start(
                self.binary,
                spec,
                ram,
                directory,
                name="dump",
                on_event=of_disk.on_event,
                on_line=console.line,
            ) as qemu,
        ):
            qemu.console.answer_with(operator.hear)
            firmware = dump_load(ram, block, old_memory, snapshot.cpus, hsa_size, of_firmware)
            session = DumpSession(
                qemu,
                ram,
                firmware,
                old_memory,
                snapshot,
                hsa_size,
                self.phases,
                console,
                of_system,
            )
            with self.phases.phase(Phase.IPL) as deadline:
                session.load(Phase.IPL, deadline)
                boot_disk.show_as_written()
                session.take_over()
            started = clock.now()
            with self.phases.phase(Phase.DUMP) as deadline:
                ended = session.run(deadline, self.stall_seconds)
            seconds = clock.now() - started
            session.stop_playing(Deadline(STAND_STILL_SECONDS))
            qemu.dump_memory(directory / DUMP_SYSTEM, hsa_size, Deadline(SAVE_SECONDS))
            self._keep(qemu, ram, session, ended, console)
        if of_disk.foreign is not None:
            raise HostError(f"{disk.path}, a disk of the machine: {of_disk.foreign}")
        # the console is complete only now that QEMU has gone
        for question, answer in operator.typed:
            self.phases.note("the operator answered", question=question, answer=answer)
        outcome, line = _classify(ended, console, self.tool), console.result_line
        if recorder is not None and (cut := of_disk.cut) is not None:
            recorder.cut(cut.places[Place.WRITE], cut.at(Place.SEED) or 0)
            of_disk.played[str(cut)] = 1
            outcome, line = Outcome.POWER_CUT, None
        return DumpOutcome(
            outcome=outcome,
            result_line=line,
            layout=layout.value,
            hsa_size=hsa_size,
            reipl_block=session.ipl_block.hex() if ended is Ended.RE_IPL else None,
            seconds=round(seconds, 3),
            limits=snapshot.limits + session.limits + qemu.console.limits,
            faults=of_firmware.played | of_disk.played | of_system.played,
            **session.observations(),
        )

    def _keep(
        self,
        qemu: Qemu,
        ram: GuestRam,
        session: DumpSession,
        ended: Ended,
        console: ConsoleWatch,
    ) -> None:
        """Keep the machine for a person, if it has come to where that is wanted."""
        if self.keeper is None:
            return
        if ended in (Ended.POWERED_OFF, Ended.RE_IPL) and self.tool.reports:
            console.wait_result(Deadline(LAST_WORDS_SECONDS))
        outcome = _classify(ended, console, self.tool)
        wanted = {
            When.END: True,
            When.FAIL: outcome is not Outcome.FINISHED,
            When.STALL: outcome in (Outcome.STALLED, Outcome.OUT_OF_TIME),
            When.CRASH: False,
        }
        if wanted[self.keeper.when]:
            self.phases.note("kept for a person", outcome=outcome)
            self.keeper.keep(Kept(qemu, ram, System.DUMP, ended.value, session.firmware))
            self.phases.note("released")


def _classify(ended: Ended, console: ConsoleWatch, tool: DumpTool) -> Outcome:
    if _ENDS.get(ended) not in tool.ends:
        return _OUTCOMES.get(ended, Outcome.ENDED_OTHERWISE)
    if console.result_line is None:
        return Outcome.ENDED_SILENTLY if tool.reports else Outcome.FINISHED
    return Outcome.FINISHED if console.succeeded else Outcome.FAILED
