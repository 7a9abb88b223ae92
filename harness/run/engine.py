"""From a plan to a verdict: the one place that knows the order of things."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.dump.collect import collect_partition
from harness.dump.filesystem import collect_file
from harness.errors import HarnessError, HostError, UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.journal import Journal
from harness.evidence.outcome import DumpOutcome, Outcome
from harness.evidence.snapshot import Snapshot
from harness.files import sparse
from harness.files.json_file import read_object
from harness.files.plain_file import is_there
from harness.host.fault import NO_SPACE, host_fault, no_space
from harness.host.paths import require_file
from harness.host.signals import deferred, signal_of
from harness.images.disk import DISK
from harness.images.needs import Wanted
from harness.images.provide import Images
from harness.images.store import Store
from harness.judges import run_dump
from harness.judges.zgetdump import Zgetdump
from harness.machine.dump_load.dumper import Dumper
from harness.machine.snapshots import Snapshots
from harness.machine.system.boot import Booter
from harness.machine.system.crash import crash
from harness.machine.system.reipl import reipl
from harness.machine.vector_checksum import vector_checksum_works
from harness.phase import Phase
from harness.progress import Progress
from harness.qemu.binary import QemuBinary, find_qemu
from harness.qemu.disk import Disk
from harness.report.verdict import Result, Verdict
from harness.run.fidelity import statement
from harness.run.inputs import CrashInputs, DumpInputs, host_identity, wanted
from harness.run.phases import OnPhase, Phases
from harness.run.plan import Plan
from harness.verify.evidence import Evidence
from harness.verify.judge import Judgement, judge

DUMP_PARTITION = 1

OnLine = Callable[[str, str], None]
"""Gets the machine's name (``crash`` or ``dump``) and each console line, from other threads."""


def run(
    plan: Plan,
    *,
    output: Path,
    store: Store,
    progress: Progress,
    keep: bool = False,
    fresh: bool = False,
    judges: bool = False,
    on_line: OnLine | None = None,
    on_phase: OnPhase | None = None,
) -> Verdict:
    """Crash a system, dump it, judge the dump; evidence goes to ``output``.

    A crash that ``store`` has already is used again; ``fresh`` forces one of the run's own, which
    is not stored, and so does a time limit. The disk that was written to stays in the evidence
    only with ``keep``. With ``judges``, what other people's tools make of the dump is one more
    check.

    Trouble of our own is a verdict too (ERROR), of whatever kind. Exceptions are for what leaves
    no verdict: UsageError if the request makes no sense, HostError if ``output`` cannot be
    written, and KeyboardInterrupt.
    """
    with _Run(
        plan, output, store, progress, keep, on_line, judges=judges, on_phase=on_phase
    ) as this:
        return this.conclude(lambda: this.crash_and_dump(fresh=fresh or plan.needs_own_crash))


def dump_snapshot(
    snapshot: Snapshot,
    plan: Plan,
    *,
    output: Path,
    store: Store,
    progress: Progress,
    keep: bool = False,
    judges: bool = False,
    on_line: OnLine | None = None,
) -> Verdict:
    """Dump a stored crash once more and judge the dump; like :func:`run` otherwise."""
    if plan.needs_own_crash:
        raise UsageError(
            "a time limit says nothing about a stored crash: its boot was at another time",
            hint="zharness run crashes anew for it",
        )
    with _Run(plan, output, store, progress, keep, on_line, judges=judges) as this:
        return this.conclude(lambda: this.dump_stored(snapshot))


def create_snapshot(
    plan: Plan, *, store: Store, progress: Progress, on_line: OnLine | None = None
) -> Snapshot:
    """Crash a system and keep the crash in ``store``, or return the same crash kept before.

    Raises HarnessError and its kinds.
    """
    # in the store, so that the new one can be linked instead of copied
    with (
        store.workplace("snapshot") as scratch,
        _Run(plan, scratch / "run", store, progress, False, on_line) as this,
    ):
        this.crash_only()
        return Snapshots(store).open(this.stored_as)


def verify(
    directory: Path,
    *,
    progress: Progress,
    vmlinux: Path | None = None,
    judges: Zgetdump | None = None,
) -> Verdict:
    """Judge the evidence in ``directory`` again, offline; changes nothing there.

    ``vmlinux`` is to be used instead of the recorded one; ``judges`` are heard, too. Raises
    EvidenceError if the evidence itself (not the dump) is incomplete, UsageError if there is no
    such file as ``vmlinux``, BuildError and HostError if the judges cannot be heard.
    """
    if vmlinux is not None:
        require_file(vmlinux, "vmlinux")
    paths = RunDirectory(directory)
    with Evidence.open(directory, vmlinux) as evidence:
        with progress.task("verify it bit for bit"):
            judgement = judge(evidence)
        if judges is not None:
            judgement = run_dump.hear(judgement, evidence, paths.disk, judges, progress)
    if is_there(paths.verdict):
        former = Verdict.from_json(read_object(paths.verdict), directory)
        fidelity, timings, inputs = former.fidelity, former.timings, former.inputs
    else:  # of a run that came to no verdict
        described = read_object(paths.run)
        fidelity, timings = _fidelity(Plan.from_json(described["plan"], paths.run)), {}
        inputs = described.get("inputs", {})
    return Verdict.of(
        judgement, directory=directory, fidelity=fidelity, timings=timings, inputs=inputs
    )


def _fidelity(plan: Plan) -> list[dict[str, str]]:
    return statement(plan.scenario.crashed.load, plan.crash.trigger)


class _Run:
    """One run in one evidence directory: owns the directory, the journal and the work disk."""

    def __init__(
        self,
        plan: Plan,
        output: Path,
        store: Store,
        progress: Progress,
        keep: bool,
        on_line: OnLine | None,
        *,
        judges: bool = False,
        on_phase: OnPhase | None = None,
    ) -> None:
        self._plan, self._keep, self._on_line = plan, keep, on_line
        self._store, self._progress = store, progress
        self._zgetdump = Zgetdump(store, progress, time_factor=plan.time_factor) if judges else None
        self._directory = RunDirectory.create(output)
        self._images = Images(store, progress)
        self._journal = Journal(self._directory.journal)
        self._phases = Phases(
            self._journal,
            progress,
            memory=plan.scenario.crashed.memory,
            time_factor=plan.time_factor,
            on_phase=on_phase,
        )
        self._inputs: dict[str, Any] = {}
        self.stored_as = ""  # the crash's name in the store, once it is there

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with deferred():
            with suppress(OSError):  # of a full disk there has been said enough
                if kind is not None:
                    self._phases.note("ended early", why=kind.__name__)
            if not self._keep:
                self._directory.drop_disk()
            if isinstance(error, KeyboardInterrupt) and not self._directory.verdict.exists():
                self._write(
                    Verdict.interrupted(signal_of(error), self._phases.current, **self._context())
                )
            with suppress(OSError):
                self._journal.close()
            if isinstance(error, UsageError):  # nothing ran, so there is no evidence of anything
                self._directory.discard()

    def conclude(self, work: Callable[[], Judgement]) -> Verdict:
        """Do the work; its judgement, or the trouble on the way, becomes the verdict."""
        try:
            verdict = Verdict.of(work(), **self._context())
        except UsageError:
            raise
        except HarnessError as error:
            verdict = Verdict.trouble(error, self._phases.current, **self._context())
        except Exception as error:  # a mistake of ours must not leave a run without a verdict
            with suppress(OSError):
                self._phases.note("internal error", traceback=traceback.format_exc())
            what = self._explained(error)
            verdict = Verdict.trouble(what, self._phases.current, **self._context())
        unwritten = self._write(verdict)
        if unwritten is not None and verdict.result is not Result.ERROR:
            what = HostError(f"{self._directory.verdict} cannot be written: {unwritten.strerror}")
            return Verdict.trouble(what, None, **self._context())
        return verdict

    def _context(self) -> dict[str, Any]:
        """What every verdict of this run says beside its result."""
        return {
            "directory": self._directory.root,
            "fidelity": _fidelity(self._plan),
            "timings": self._phases.timings,
            "inputs": self._inputs,
        }

    def _write(self, verdict: Verdict) -> OSError | None:
        """Write ``verdict.json``; returns what prevented it."""
        try:
            self._directory.write_json(self._directory.verdict, verdict.to_json())
        except OSError as error:
            return error
        return None

    def _explained(self, error: Exception) -> HarnessError:
        """What came from nobody of ours: the host's fault, if it can be told, or our mistake."""
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return no_space(error, error.filename or self._directory.root)
        return host_fault(error) or HarnessError(
            f"internal error: {type(error).__name__}: {error}",
            hint=f"{self._directory.journal} has the traceback; please report it",
        )

    def crash_and_dump(self, *, fresh: bool) -> Judgement:
        """Crash a system, dump it, judge the dump; a stored crash does unless ``fresh``."""
        with self._phases.work(Phase.IMAGES):
            # both sides' before anything boots: what is wrong with the request shows here
            self._images.provide(self._wanted())
            crash = CrashInputs.prepare(self._images, self._plan)
            dump = self._prepare_dump()
        self._describe(crash.identity(), dump.identity())
        return self._dump_and_judge(self._crash(crash, fresh=fresh))

    def dump_stored(self, snapshot: Snapshot) -> Judgement:
        """Dump a crash that is stored, judge the dump."""
        with self._phases.work(Phase.IMAGES):
            dump = self._prepare_dump()
        self._describe(dump.identity())
        return self._dump_and_judge(self._place(snapshot))

    def crash_only(self) -> None:
        """A crash in the store, made if it was not there."""
        with self._phases.work(Phase.IMAGES):
            crash = CrashInputs.prepare(self._images, self._plan)
        self._describe(crash.identity())
        self._crash(crash, fresh=False)

    def _wanted(self) -> Wanted:
        """All that this run takes; what is lacking is to be known before a kernel is compiled."""
        both = wanted(self._plan)
        return both if self._zgetdump is None else both | self._zgetdump.wanted

    def _prepare_dump(self) -> DumpInputs:
        """Everything for the dump, the disk that it will be written to included."""
        inputs = DumpInputs.prepare(self._images, self._plan)
        sparse.copy(inputs.disk.path / DISK, self._directory.disk)
        if self._zgetdump is not None:
            self._zgetdump.prepare()
        return inputs

    def _describe(self, *inputs: Mapping[str, Any]) -> None:
        """Write ``run.json``: the plan, and all that goes in."""
        for identity in (*inputs, host_identity(self._binary)):
            self._inputs |= identity
        description = {"plan": self._plan.to_json(), "inputs": self._inputs}
        self._directory.write_json(self._directory.run, description)

    def _crash(self, inputs: CrashInputs, *, fresh: bool) -> Snapshot:
        """A crash in the evidence: a stored one, or a new one, which is stored unless ``fresh``."""
        if fresh:
            return self._new_crash(inputs)
        self.stored_as = name = self._plan.snapshot_name(inputs.digests(self._binary))
        stored = Snapshots(self._store)
        if not stored.has(name):
            with stored.making(name):
                if not stored.has(name):  # another process may have been quicker
                    snapshot = self._new_crash(inputs)
                    stored.keep(snapshot, name)
                    return snapshot
        return self._place(stored.open(name))

    def _new_crash(self, inputs: CrashInputs) -> Snapshot:
        spec, how = inputs.spec(self._plan), self._plan.crash
        booter = self._booter("crash")
        directory, kernel = self._directory.crash, inputs.kernel
        snapshot = crash(booter, spec, how, directory, kernel.identity(), inputs.system_disk)
        kernel.require_unchanged()
        return snapshot

    def _place(self, snapshot: Snapshot) -> Snapshot:
        """Take a stored crash into the evidence; returns it as it is there."""
        self._describe({"snapshot": snapshot.name})
        with self._phases.phase(Phase.SNAPSHOT):
            self._phases.note("stored crash", name=snapshot.name)
            return Snapshots(self._store).take(snapshot, self._directory.crash)

    def _dump_and_judge(self, snapshot: Snapshot) -> Judgement:
        """Dump a crash that is in the evidence, collect the dump, judge it."""
        outcome = self._dump(snapshot)
        with self._phases.work(Phase.COLLECT):
            self._collect()
        if self._plan.scenario.expect.reipl:
            self._reipl(snapshot, outcome)
        root = self._directory.root
        with self._phases.work(Phase.VERIFY), Evidence.open(root) as evidence:
            judgement = judge(evidence)
        if self._zgetdump is None:
            return judgement
        with self._phases.work(Phase.JUDGE), Evidence.open(root) as evidence:
            self._phases.note("our own verdict", passed=judgement.passed)
            disk, progress = self._directory.disk, self._progress
            return run_dump.hear(judgement, evidence, disk, self._zgetdump, progress)

    def _dump(self, snapshot: Snapshot) -> DumpOutcome:
        dump, directory = self._plan.scenario.dump, self._directory
        dumper = Dumper(
            self._binary, self._phases, self._phases.stall_seconds, self._lines_of("dump")
        )
        outcome = dumper.dump(
            snapshot, Disk.for_dump(directory.disk), dump.layout, dump.hsa_size, directory.dump
        )
        directory.write_json(directory.outcome, outcome.to_json())
        return outcome

    def _reipl(self, snapshot: Snapshot, outcome: DumpOutcome) -> None:
        """Load the original system again, if the dump system asked for that."""
        if outcome.reipl_block is not None and snapshot.system_disk is not None:
            block = bytes.fromhex(outcome.reipl_block)
            reipl(self._booter("reipl"), snapshot, block, self._directory.reipl)
        elif outcome.outcome is Outcome.FINISHED:
            self._require_vector_checksum(snapshot, outcome)

    def _require_vector_checksum(self, snapshot: Snapshot, outcome: DumpOutcome) -> None:
        """A re-IPL that was not asked for may be QEMU's fault, not the dump kernel's."""
        model = str(snapshot.machine["cpu_model"])
        if vector_checksum_works(self._binary, model) is False:
            fault = (
                f"no re-IPL was asked for, but QEMU {self._binary.release} computes "
                "VECTOR CHECKSUM wrongly, with which the dump kernel checks the re-IPL block"
            )
            # for whoever judges this again
            observed = {**outcome.to_json(), "qemu_fault": fault}
            self._directory.write_json(self._directory.outcome, observed)
            hint = "crash a machine without vector registers: cpu_model = 'max,vx=off'"
            raise HostError(fault, hint=hint)

    @cached_property
    def _binary(self) -> QemuBinary:
        return find_qemu()

    def _booter(self, machine: str) -> Booter:
        return Booter(self._binary, self._phases, self._lines_of(machine))

    def _lines_of(self, machine: str) -> Callable[[str], None] | None:
        return None if self._on_line is None else partial(self._on_line, machine)

    def _collect(self) -> None:
        disk, into = self._directory.disk, self._directory.dump
        if self._plan.scenario.dump.layout.is_file_system:
            collected = collect_file(disk, DUMP_PARTITION, into, self._progress)
        else:
            collected = collect_partition(disk, into, self._progress)
        collected.save(into)
        self._phases.note("collected", size=collected.size, note=collected.note)
