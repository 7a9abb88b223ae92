"""From a plan to a verdict: one run, one dump of a stored crash, one judging of evidence again."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.snapshot import Snapshot
from harness.files.json_file import read_object
from harness.files.plain_file import is_there
from harness.host.paths import require_file
from harness.images.store import Store
from harness.judges import run_dump
from harness.judges.zgetdump import Zgetdump
from harness.machine.snapshots import Snapshots
from harness.progress import Progress
from harness.report.verdict import Verdict
from harness.run.machines import REAL, Machines
from harness.run.phases import OnPhase
from harness.run.plan import Plan
from harness.run.record import Record, fidelity_of
from harness.run.work import OnLine, Work
from harness.verify.evidence import Evidence
from harness.verify.judge import judge


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
    machines: Machines = REAL,
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
    with Record(plan, output, progress, keep=keep, on_phase=on_phase) as record:
        work = Work(plan, record, store, progress, machines, judges=judges, on_line=on_line)
        return record.conclude(lambda: work.crash_and_dump(fresh=fresh or plan.needs_own_crash))


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
    machines: Machines = REAL,
) -> Verdict:
    """Dump a stored crash once more and judge the dump; like :func:`run` otherwise."""
    if plan.needs_own_crash:
        raise UsageError(
            "a time limit says nothing about a stored crash: its boot was at another time",
            hint="zharness run crashes anew for it",
        )
    with Record(plan, output, progress, keep=keep) as record:
        work = Work(plan, record, store, progress, machines, judges=judges, on_line=on_line)
        return record.conclude(lambda: work.dump_stored(snapshot))


def create_snapshot(
    plan: Plan,
    *,
    store: Store,
    progress: Progress,
    on_line: OnLine | None = None,
    machines: Machines = REAL,
) -> Snapshot:
    """Crash a system and keep the crash in ``store``, or return the same crash kept before.

    Raises HarnessError and its kinds.
    """
    # in the store, so that the new one can be linked instead of copied
    with (
        store.workplace("snapshot") as scratch,
        Record(plan, scratch / "run", progress) as record,
    ):
        work = Work(plan, record, store, progress, machines, on_line=on_line)
        work.crash_only()
        return Snapshots(store).open(work.stored_as)


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
        fidelity, timings = fidelity_of(Plan.from_json(described["plan"], paths.run)), {}
        inputs = described.get("inputs", {})
    return Verdict.of(
        judgement, directory=directory, fidelity=fidelity, timings=timings, inputs=inputs
    )
