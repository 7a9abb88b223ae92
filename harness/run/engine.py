"""From a plan to a verdict: the one place that knows the order of things."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness import sparse
from harness.build.disk import DISK
from harness.build.images import Images
from harness.build.initramfs import IMAGE
from harness.build.store import Store
from harness.dump.filesystem import collect_file
from harness.dump.partition import collect_partition
from harness.errors import HarnessError, HostError, UsageError
from harness.machine.crash import Crasher
from harness.machine.dump import Dumper
from harness.machine.snapshot import Snapshot
from harness.machine.snapshots import Snapshots, place
from harness.machine.triggers import trigger_named
from harness.progress import Progress
from harness.qemu.binary import find_qemu
from harness.qemu.spec import MachineSpec
from harness.report.verdict import Verdict
from harness.run.directory import RunDirectory
from harness.run.fidelity import statement
from harness.run.inputs import CrashInputs, DumpInputs, host_identity
from harness.run.journal import Journal
from harness.run.phases import Phases
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
    on_line: OnLine | None = None,
) -> Verdict:
    """Crash a system, dump it, judge the dump; evidence goes to ``output``.

    Trouble of our own is a verdict too (ERROR). Exceptions are for what leaves no verdict:
    UsageError if the request makes no sense, HostError if ``output`` cannot be written, and
    KeyboardInterrupt. The disk that was written to stays in the evidence only with ``keep``.
    """
    with _Run(plan, output, store, progress, keep, on_line) as this:
        return this.conclude(lambda: this.dump_and_judge(this.crash()))


def dump_snapshot(
    snapshot: Snapshot,
    plan: Plan,
    *,
    output: Path,
    store: Store,
    progress: Progress,
    keep: bool = False,
    on_line: OnLine | None = None,
) -> Verdict:
    """Dump a stored crash once more and judge the dump; like :func:`run` otherwise."""
    with _Run(plan, output, store, progress, keep, on_line) as this:
        return this.conclude(lambda: this.dump_and_judge(this.place(snapshot)))


def create_snapshot(
    plan: Plan, *, store: Store, progress: Progress, on_line: OnLine | None = None
) -> Snapshot:
    """Crash a system and keep the crash in ``store``, or return the same crash kept before.

    Raises HarnessError and its kinds.
    """
    snapshots = Snapshots.in_store(store.root)
    with Journal(snapshots.journal) as journal:
        phases = Phases(journal, progress, memory=plan.memory, time_factor=plan.time_factor)
        with phases.phase("images"):
            inputs = CrashInputs.prepare(Images(store, progress), plan)
        name = plan.snapshot_name(inputs.digests())
        if not snapshots.has(name):
            with snapshots.creating(name) as directory:
                _crash(plan, inputs, phases, on_line, directory)
    return snapshots.get(name)


def verify(directory: Path, *, progress: Progress) -> Verdict:
    """Judge the evidence in ``directory`` again, offline; changes nothing there.

    Raises EvidenceError if the evidence itself (not the dump) is incomplete.
    """
    paths = RunDirectory(directory)
    former = paths.read_json(paths.verdict)
    with progress.task("verify it bit for bit"), Evidence.open(directory) as evidence:
        judgement = judge(evidence)
    return Verdict.of(
        judgement,
        directory=directory,
        fidelity=former.get("fidelity", ()),
        timings=former.get("timings", {}),
        inputs=former.get("inputs", {}),
    )


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
    ) -> None:
        self._plan, self._keep, self._on_line = plan, keep, on_line
        self._progress = progress
        self._directory = RunDirectory.create(output)
        self._images = Images(store, progress)
        self._journal = Journal(self._directory.journal)
        self._phases = Phases(
            self._journal, progress, memory=plan.memory, time_factor=plan.time_factor
        )
        self._inputs: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._phases.note("ended early", why=kind.__name__)
        if not self._keep:
            self._directory.disk.unlink(missing_ok=True)
        self._journal.close()
        if isinstance(error, UsageError):  # nothing ran, so there is no evidence of anything
            self._directory.discard()

    def conclude(self, work: Callable[[], Judgement]) -> Verdict:
        """Do the work; its judgement, or the trouble on the way, becomes the verdict."""
        context: Callable[[], dict[str, Any]] = partial(
            dict,
            directory=self._directory.root,
            fidelity=statement(),
            timings=self._phases.timings,
            inputs=self._inputs,
        )
        try:
            verdict = Verdict.of(self._without_space_errors(work), **context())
        except UsageError:
            raise
        except HarnessError as error:
            verdict = Verdict.trouble(error, self._phases.current, **context())
        self._directory.write_json(self._directory.verdict, verdict.to_json())
        return verdict

    def crash(self) -> Snapshot:
        """Boot and crash a system into the evidence."""
        with self._phases.phase("images"):
            inputs = CrashInputs.prepare(self._images, self._plan)
        self._inputs |= inputs.identity()
        return _crash(self._plan, inputs, self._phases, self._on_line, self._directory.crash)

    def place(self, snapshot: Snapshot) -> Snapshot:
        """Take a stored crash into the evidence."""
        self._inputs |= {"snapshot": snapshot.name}
        return place(snapshot, self._directory.crash)

    def dump_and_judge(self, snapshot: Snapshot) -> Judgement:
        """Dump a crash that is in the evidence, collect the dump, judge it."""
        self._dump(snapshot)
        with self._phases.phase("collect"):
            self._collect()
        with self._phases.phase("verify"), Evidence.open(self._directory.root) as evidence:
            return judge(evidence)

    def _dump(self, snapshot: Snapshot) -> None:
        plan, directory = self._plan, self._directory
        binary = find_qemu()
        with self._phases.phase("images"):
            inputs = DumpInputs.prepare(self._images, plan)
            sparse.copy(inputs.disk.path / DISK, directory.disk)
        self._inputs |= {**inputs.identity(), **host_identity(binary)}
        directory.write_json(directory.run, {"plan": plan.to_json(), "inputs": self._inputs})
        dumper = Dumper(
            binary, self._phases, self._phases.stall_seconds, _bound(self._on_line, "dump")
        )
        outcome = dumper.dump(snapshot, directory.disk, plan.layout, plan.hsa_size, directory.dump)
        directory.write_json(directory.outcome, outcome.to_json())

    def _collect(self) -> None:
        disk, into = self._directory.disk, self._directory.dump
        if self._plan.layout.is_file_system:
            collected = collect_file(disk, DUMP_PARTITION, into, self._progress)
        else:
            collected = collect_partition(disk, into, self._progress)
        self._phases.note("collected", size=collected.size, note=collected.note)

    def _without_space_errors(self, work: Callable[[], Judgement]) -> Judgement:
        """A full disk can show anywhere; wherever it does, it is the host's trouble."""
        try:
            return work()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            where = error.filename or self._directory.root
            raise HostError(f"no space left for {where}", hint="free some space") from error


def _crash(
    plan: Plan, inputs: CrashInputs, phases: Phases, on_line: OnLine | None, directory: Path
) -> Snapshot:
    spec = MachineSpec(
        memory=plan.memory,
        cpus=plan.cpus,
        cpu_model=plan.cpu_model,
        kernel=inputs.kernel.image,
        initrd=inputs.initramfs.path / IMAGE,
        append=plan.parmline,
    )
    crasher = Crasher(find_qemu(), phases, _bound(on_line, "crash"))
    return crasher.crash(spec, trigger_named(plan.trigger), directory)


def _bound(on_line: OnLine | None, machine: str) -> Callable[[str], None] | None:
    return None if on_line is None else partial(on_line, machine)
