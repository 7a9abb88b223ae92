"""From a plan to a verdict: do a run, dump a stored crash, or verify evidence again."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.held import When
from harness.evidence.outcome import Outcome
from harness.evidence.snapshot import Snapshot
from harness.files.json_file import read_object
from harness.files.plain_file import is_there
from harness.host.paths import require_file
from harness.images.store import Store
from harness.judges import run_dump
from harness.judges.run_dump import Judges
from harness.machine.snapshots import Snapshots
from harness.progress import Progress
from harness.qemu import ram
from harness.report.verdict import Verdict
from harness.run.machines import REAL, Machines
from harness.run.phases import OnPhase
from harness.run.plan import Plan
from harness.run.record import Record, fidelity_of
from harness.run.work import OnLine, Work
from harness.verify.evidence import Evidence
from harness.verify.run_checks import CheckedRun, run_checks


def run(
    plan: Plan,
    *,
    output: Path,
    store: Store,
    progress: Progress,
    keep: bool = False,
    fresh: bool = False,
    judges: bool = False,
    hold: When | None = None,
    memory_on_disk: bool = False,
    on_line: OnLine | None = None,
    on_phase: OnPhase | None = None,
    machines: Machines = REAL,
) -> Verdict:
    """Crash a system, dump it, verify the dump; evidence goes to ``output``.

    If ``store`` has the crash already, it is used. ``fresh``, or a time limit, forces a new crash,
    which is not stored. The written disk stays in the evidence only with ``keep``. With ``judges``,
    other tools judge the dump, too, as further checks. With ``hold``, a machine is kept for a
    person at that moment, and the run goes on when the person lets it go. With ``memory_on_disk``
    guest memory lies in a file in the store, so that it need not fit into the host's.

    Errors of the harness and its environment are a verdict, too (ERROR). Exceptions mean that there
    is no verdict: UsageError if the request is not valid, HostError if ``output`` cannot be
    written, and KeyboardInterrupt.
    """
    with Record(plan, output, progress, keep=keep, on_phase=on_phase) as record:
        work = Work(
            plan, record, store, progress, machines, judges=judges, hold=hold, on_line=on_line
        )
        fresh = fresh or plan.needs_own_crash or hold is When.CRASH

        def crash_and_dump() -> CheckedRun:
            with ram.memory_on_disk(store.for_files() if memory_on_disk else None):
                return work.crash_and_dump(fresh=fresh)

        return record.conclude(crash_and_dump)


def dump_snapshot(
    snapshot: Snapshot,
    plan: Plan,
    *,
    output: Path,
    store: Store,
    progress: Progress,
    keep: bool = False,
    judges: bool = False,
    hold: When | None = None,
    on_line: OnLine | None = None,
    machines: Machines = REAL,
) -> Verdict:
    """Dump a stored crash again and verify the dump; otherwise like :func:`run`."""
    if plan.needs_own_crash:
        raise UsageError(
            "a time limit says nothing about a stored crash: its boot was at another time",
            hint="zharness run crashes anew for it",
        )
    with Record(plan, output, progress, keep=keep) as record:
        work = Work(
            plan, record, store, progress, machines, judges=judges, hold=hold, on_line=on_line
        )
        return record.conclude(lambda: work.dump_stored(snapshot))


def create_snapshot(
    plan: Plan,
    *,
    store: Store,
    progress: Progress,
    on_line: OnLine | None = None,
    machines: Machines = REAL,
) -> Snapshot:
    """Crash a system and keep the crash in ``store``; if it is there already, return it.

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
    judges: Judges | None = None,
) -> Verdict:
    """Verify the evidence in ``directory`` again, offline; changes nothing there.

    The files of a packed run are there meanwhile.

    ``vmlinux`` replaces the recorded one. With ``judges``, they and libkdumpfile judge the dump,
    too. Raises EvidenceError if the evidence itself (not the dump) is incomplete, UsageError if
    there is no such file as ``vmlinux``, BuildError and HostError if a judge cannot be asked.
    """
    if vmlinux is not None:
        require_file(vmlinux, "vmlinux")
    paths = RunDirectory(directory)
    with Evidence.open(directory, vmlinux, progress) as evidence:
        with progress.task("verify it bit for bit"):
            checked = run_checks(evidence)
        if judges is not None:
            checked = run_dump.hear(checked, evidence, paths.disk, judges, progress)
    if is_there(paths.verdict):
        former = Verdict.from_json(read_object(paths.verdict), directory)
        context = {
            name: getattr(former, name)
            for name in ("fidelity", "timings", "inputs", "started", "host")
        }
    else:  # of a run that has no verdict
        described = read_object(paths.run)
        context = {
            "fidelity": fidelity_of(
                Plan.from_json(described["plan"], paths.run), _intercepted_by(paths)
            ),
            "inputs": described.get("inputs", {}),
        }
    return Verdict.of(checked, directory=directory, **context)


def _intercepted_by(paths: RunDirectory) -> str | None:
    """As the outcome of the dump says; None without a dump."""
    if not is_there(paths.outcome):
        return None
    told = read_object(paths.outcome)
    return None if told.get("outcome") == Outcome.NOT_LOADED else told.get("intercepted_by")
