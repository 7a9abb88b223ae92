"""The steps of one run, in order: images, crash, dump, collect, re-IPL, verify, judge."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from harness.errors import FaultNotReached, HostError, NotLoaded, PhaseTimeout
from harness.evidence.held import When
from harness.evidence.names import CONSOLE
from harness.evidence.outcome import DumpOutcome, Outcome
from harness.evidence.snapshot import Snapshot
from harness.faults.fault import Fault
from harness.faults.table import POWER_CUT
from harness.files import sparse
from harness.images.disk import DISK
from harness.images.needs import Wanted
from harness.images.store import Store
from harness.judges import run_dump
from harness.machine.dump_load.disk_faults import PREVENT_LOAD
from harness.machine.dump_load.operator import Reply
from harness.machine.dump_load.request import LoadRequest
from harness.machine.hold.keeper import Keeper
from harness.machine.signal_hold import SignalsMissed
from harness.machine.snapshots import Snapshots
from harness.machine.system.boot import Booter
from harness.machine.system.reipl import Again
from harness.phase import Phase
from harness.progress import Progress
from harness.qemu.binary import QemuBinary
from harness.qemu.disk import Disk
from harness.run.given_disk import DumpDisk, copy_given
from harness.run.inputs.crash import CrashInputs
from harness.run.inputs.dump import DumpInputs
from harness.run.inputs.host import host_identity
from harness.run.machines import Machines
from harness.run.plan import Plan
from harness.run.record import Record
from harness.run.system import booter_of
from harness.run.used_disk.editor import CHECKED, E2FSCK_LOG, Editor
from harness.run.used_disk.prepare import look_again, prepare
from harness.scenario.used_disk import parse_answer
from harness.ssh.handshake import Login
from harness.verify.evidence import Evidence
from harness.verify.run_checks import CheckedRun

OnLine = Callable[[str, str], None]
"""Gets the machine's name (``crash`` or ``dump``) and each console line, from other threads."""


class Work:
    """The steps of one run, done with ``machines`` and recorded in ``record``."""

    def __init__(
        self,
        plan: Plan,
        record: Record,
        store: Store,
        progress: Progress,
        machines: Machines,
        *,
        judges: bool = False,
        hold: When | None = None,
        on_line: OnLine | None = None,
    ) -> None:
        self._plan, self._record, self._machines = plan, record, machines
        self._directory, self._phases = record.directory, record.phases
        self._store, self._progress, self._on_line = store, progress, on_line
        self._images = machines.images(store, progress)
        self._judges = (
            machines.judges(store, progress, time_factor=plan.time_factor) if judges else None
        )
        self._keeper = None if hold is None else Keeper(hold, record.directory, progress)
        self._disk = DumpDisk(plan.scenario.dump.layout, plan.scenario.dump.sector_size)
        self._login: Login | None = None  # of a full system that this run crashes
        self.stored_as = ""  # the crash's name in the store, once it is there

    def crash_and_dump(self, *, fresh: bool) -> CheckedRun:
        """Crash a system, dump it, verify the dump; a stored crash is used unless ``fresh``."""
        with self._phases.work(Phase.IMAGES):
            # for both systems, before anything boots: mistakes in the request show here
            self._images.provide(self._wanted())
            crash = self._machines.crash_inputs(self._images, self._plan)
            self._login = crash.login
            dump = self._prepare_dump()
        self._describe(crash.identity(), dump.identity(), self._disk.identity)
        return self._dump_and_verify(self._crash(crash, fresh=fresh), dump)

    def dump_stored(self, snapshot: Snapshot) -> CheckedRun:
        """Dump a stored crash, and verify the dump."""
        with self._phases.work(Phase.IMAGES):
            dump = self._prepare_dump()
        self._describe(dump.identity(), self._disk.identity)
        return self._dump_and_verify(self._place(snapshot), dump)

    def crash_only(self) -> None:
        """A crash in the store; it is made if it is not there."""
        with self._phases.work(Phase.IMAGES):
            crash = self._machines.crash_inputs(self._images, self._plan)
        self._describe(crash.identity())
        self._crash(crash, fresh=False)

    def _wanted(self) -> Wanted:
        """Everything that this run needs, to find what is missing before a kernel is compiled."""
        both = self._machines.wanted(self._plan)
        return both if self._judges is None else both | self._judges.wanted

    def _prepare_dump(self) -> DumpInputs:
        """Everything for the dump, including the disk that it will be written to."""
        inputs = self._machines.dump_inputs(self._images, self._plan)
        self._fresh_disk(inputs)
        if self._judges is not None:
            self._judges.prepare()
        return inputs

    def _fresh_disk(self, inputs: DumpInputs) -> None:
        """A copy of the dump disk, as it is before the dump."""
        how = self._plan.scenario.dump
        if how.disk is None:
            assert inputs.disk is not None
            sparse.copy(inputs.disk.path / DISK, self._directory.disk)
            self._disk = DumpDisk.prepared(how, self._directory.disk)
        else:
            self._disk = copy_given(how.disk, how, self._directory.disk)
        prepare(self._directory.disk, how, self._directory.dump)

    def _describe(self, *inputs: Mapping[str, Any]) -> None:
        self._record.describe(*inputs, host_identity(self._binary))

    def _crash(self, inputs: CrashInputs, *, fresh: bool) -> Snapshot:
        """Put a crash into the evidence: a stored one, or a new one (stored unless ``fresh``)."""
        if fresh:
            return self._new_crash(inputs)
        self.stored_as = name = self._plan.snapshot_name(inputs.digests(self._binary))
        stored = Snapshots(self._store)
        if not stored.has(name):
            with stored.making(name):
                if not stored.has(name):  # another process may have made it meanwhile
                    snapshot = self._new_crash(inputs)
                    stored.keep(snapshot, name)
                    return snapshot
        return self._place(stored.open(name))

    def _new_crash(self, inputs: CrashInputs) -> Snapshot:
        system, how = inputs.bootable(self._plan), inputs.crash(self._plan)
        directory, kernel = self._directory.crash, inputs.kernel
        lines = self._lines_of("crash")
        booter = booter_of(self._plan, self._binary, self._phases, lines, self._store, self._keeper)
        snapshot = self._machines.crash(booter, system, how, directory, kernel.identity())
        kernel.require_unchanged()
        return snapshot

    def _place(self, snapshot: Snapshot) -> Snapshot:
        """Put a stored crash into the evidence; returns the one in the evidence."""
        self._describe({"snapshot": snapshot.name})
        with self._phases.phase(Phase.SNAPSHOT):
            self._phases.note("stored crash", name=snapshot.name)
            return Snapshots(self._store).take(snapshot, self._directory.crash)

    def _dump_and_verify(self, snapshot: Snapshot, inputs: DumpInputs) -> CheckedRun:
        """Dump a crash that is in the evidence, collect the dump, verify it."""
        outcome = self._dump(snapshot, inputs)
        with self._phases.work(Phase.COLLECT):
            self._collect()
        if self._plan.scenario.expect.reipl:
            self._reipl(snapshot, outcome)
        root = self._directory.root
        with self._phases.work(Phase.VERIFY):
            checked = self._machines.verify(root)
        if self._judges is None:
            return checked
        with self._phases.work(Phase.JUDGE), Evidence.open(root) as evidence:
            self._phases.note("our own verdict", passed=checked.passed)
            disk, progress = self._directory.disk, self._progress
            return run_dump.hear(checked, evidence, disk, self._judges, progress)

    def _dump(self, snapshot: Snapshot, inputs: DumpInputs) -> DumpOutcome:
        directory, faults = self._directory, self._plan.scenario.faults.injected
        try:
            outcome = self._dumped(snapshot, inputs)
        except (NotLoaded, PhaseTimeout) as error:
            outcome = self._not_loaded(error)
        if outcome.outcome is not Outcome.NOT_LOADED:
            self._record.intercepted_by = outcome.intercepted_by
        directory.write_json(directory.outcome, outcome.to_json())
        _require_faults(faults, outcome)
        return outcome

    def _dumped(self, snapshot: Snapshot, inputs: DumpInputs) -> DumpOutcome:
        """The load's outcome; it is done again if the plugin may have missed a service signal."""
        if self._disk.unusable:
            raise NotLoaded(self._disk.unusable)
        plugin = self._machines.hold_plugin(self._store, self._binary)
        try:
            return self._load(snapshot, inputs, plugin)
        except SignalsMissed as missed:
            self._phases.note("dump again, without the plugin", why=missed.message)
        shutil.rmtree(self._directory.dump)
        self._directory.disk.unlink()
        self._fresh_disk(inputs)
        return self._load(snapshot, inputs, None)

    def _load(self, snapshot: Snapshot, inputs: DumpInputs, plugin: Path | None) -> DumpOutcome:
        dump = self._plan.scenario.dump
        dumper = self._machines.dumper(
            self._binary,
            self._phases,
            self._phases.stall_seconds,
            self._lines_of("dump"),
            inputs.tool.tool,
            self._keeper,
            plugin,
        )
        return dumper.dump(
            snapshot,
            Disk.for_dump(self._directory.disk, self._disk.sector_size),
            self._disk.layout,
            dump.hsa_size,
            self._directory.dump,
            faults=self._plan.scenario.faults.injected,
            replies=[Reply(*parse_answer(answer)) for answer in dump.console],
            request=LoadRequest(dump.lun, dump.wwpn, dump.load_parameters, dump.other_luns),
        )

    def _not_loaded(self, error: NotLoaded | PhaseTimeout) -> DumpOutcome:
        """The outcome if it is the fault of the user's disk or zipl; raises ``error`` if not."""
        dump, disk = self._plan.scenario.dump, self._disk
        endless = isinstance(error, PhaseTimeout)
        spoilt = [
            str(fault)
            for fault in self._plan.scenario.faults.injected
            if fault.kind.name in PREVENT_LOAD
        ]
        wrong = disk.fault or spoilt
        if not (disk.under_test or spoilt) or (
            endless and not (wrong and self._phases.current is Phase.IPL)
        ):
            raise error
        said = error.message.splitlines()[0]
        why = disk.unusable or "; ".join(
            filter(None, (disk.fault, *spoilt, f"{dump.disk or dump.zipl or 'the disk'}: {said}"))
        )
        self._directory.dump.mkdir(exist_ok=True)
        (self._directory.dump / CONSOLE).touch()
        outcome = DumpOutcome.not_loaded(why, disk.layout, dump.hsa_size)
        return replace(outcome, faults=dict.fromkeys(spoilt, 1))

    def _reipl(self, snapshot: Snapshot, outcome: DumpOutcome) -> None:
        """Load the original system again, if the dump system asked for that."""
        if outcome.reipl_block is not None and snapshot.system_disk is not None:
            block = bytes.fromhex(outcome.reipl_block)
            booter = Booter(self._binary, self._phases, self._lines_of("reipl"))
            directory = self._directory.reipl
            disk = Disk.for_dump(self._directory.disk, self._disk.sector_size)
            wanted = disk if self._plan.scenario.expect.own_dump else None
            self._machines.reipl(booter, snapshot, block, directory, Again(self._login, wanted))
        elif outcome.outcome is Outcome.FINISHED:
            self._require_vector_checksum(snapshot, outcome)

    def _require_vector_checksum(self, snapshot: Snapshot, outcome: DumpOutcome) -> None:
        """If no re-IPL was requested, that may be QEMU's fault, not the dump kernel's."""
        model = str(snapshot.machine["cpu_model"])
        if self._machines.vector_checksum_works(self._binary, model) is False:
            fault = (
                f"no re-IPL was asked for, but QEMU {self._binary.release} computes "
                "VECTOR CHECKSUM wrongly, with which the dump kernel checks the re-IPL block"
            )
            # for a later verification of this evidence
            observed = {**outcome.to_json(), "qemu_fault": fault}
            self._directory.write_json(self._directory.outcome, observed)
            hint = "crash a machine without vector registers: cpu_model = 'max,vx=off'"
            raise HostError(fault, hint=hint)

    @property
    def _power_was_cut(self) -> bool:
        faults = self._plan.scenario.faults.injected
        return any(fault.kind is POWER_CUT for fault in faults)

    @cached_property
    def _binary(self) -> QemuBinary:
        return self._machines.find_qemu()

    def _lines_of(self, machine: str) -> Callable[[str], None] | None:
        return None if self._on_line is None else partial(self._on_line, machine)

    def _collect(self) -> None:
        into, how = self._directory.dump, self._plan.scenario.dump
        if self._power_was_cut and self._disk.layout in CHECKED:
            Editor(self._directory.disk, how.partition, how.sector_size, into / E2FSCK_LOG).check()
        given = None if self._disk.given is None else self._disk
        collected = self._machines.collect(
            self._directory.disk, how, into, self._progress, given, self._images
        )
        collected.save(into)
        look_again(self._directory.disk, how, into)
        self._phases.note("collected", size=collected.size, note=collected.note)


def _require_faults(faults: Sequence[Fault], outcome: DumpOutcome) -> None:
    """Raises FaultNotReached if a dump system that finished did not come to one of the faults."""
    missed = [str(fault) for fault in faults if not outcome.faults.get(str(fault))]
    if missed and outcome.outcome is Outcome.FINISHED:
        raise FaultNotReached(
            f"the fault {missed[0]} did not happen: the dump system finished before; it made "
            f"{outcome.sdias_requests} SDIAS requests",
            hint="choose a place that it comes to",
        )
