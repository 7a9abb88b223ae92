"""Checks with other people's tools on the dump of a run, one check per tool."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.dump.describe import incomplete
from harness.dump.detect import open_dump
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.images.needs import Wanted
from harness.images.store import Store
from harness.judges import agreement, libkdumpfile
from harness.judges.crash import agreement as crash_agreement
from harness.judges.crash import judge as crash_judge
from harness.judges.crash.guest import Crash
from harness.judges.zgetdump import Zgetdump
from harness.progress import Progress
from harness.s390x.disk_layout import DiskLayout
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.run_checks import CheckedRun


@dataclass(frozen=True)
class Judges:
    """The tools that run in guests; libkdumpfile is on this host, or not."""

    zgetdump: Zgetdump
    crash: Crash

    @classmethod
    def of(cls, store: Store, progress: Progress, *, time_factor: float = 1.0) -> Judges:
        """Those of the suites that were tried; ``time_factor`` multiplies their deadlines."""
        return cls(
            Zgetdump(store, progress, time_factor=time_factor),
            Crash(store, progress, time_factor=time_factor),
        )

    @property
    def wanted(self) -> Wanted:
        """The packages and kernels of their guests."""
        return self.zgetdump.wanted | self.crash.wanted

    def prepare(self) -> None:
        """Build what is missing, so that it is ready before a run needs it."""
        self.zgetdump.prepare()
        self.crash.prepare()


def hear(
    checked: CheckedRun, evidence: Evidence, disk: Path, judges: Judges, progress: Progress
) -> CheckedRun:
    """Add their checks to our own.

    Raises what :func:`check` raises, and EvidenceError if vmlinux is another kernel's.
    """
    checked = checked.also(check(evidence, disk, judges.zgetdump, progress))
    checked = checked.also(
        _asked(evidence, libkdumpfile.CHECK, libkdumpfile.UNIT, libkdumpfile.check)
    )
    crash = partial(crash_judge.check, vmlinux=evidence.vmlinux, crash=judges.crash)
    return checked.also(_asked(evidence, crash_agreement.CHECK, crash_agreement.UNIT, crash))


def _asked(
    evidence: Evidence, name: str, unit: str, ask: Callable[[Path, Dump], CheckResult]
) -> CheckResult:
    """What a judge says of the dump; skipped if there is none that our reader can read."""
    dump, path = evidence.dump, evidence.dump_path
    if dump is None or path is None:
        return CheckResult.skipped(name, unit, evidence.dump_fault or "there is no dump")
    why = _unreadable(dump)
    return CheckResult.skipped(name, unit, why) if why else ask(path, dump)


def check(evidence: Evidence, disk: Path, zgetdump: Zgetdump, progress: Progress) -> CheckResult:
    """Whether zgetdump agrees about the collected dump, and ``disk`` if it has a partition.

    Skipped for a dump that our reader cannot read to its end: there is nothing to compare.
    Raises HostError and BuildError if zgetdump cannot be asked.
    """
    dump, path = evidence.dump, evidence.dump_path
    if dump is None or path is None:
        return _skipped(evidence.dump_fault or "there is no dump")
    if why := _unreadable(dump) or zgetdump.unknown(dump):
        return _skipped(why)
    has_partition = evidence.layout is DiskLayout.PARTITION and disk.is_file()
    files = (path, disk) if has_partition else (path,)
    return _together((file, _judged(file, zgetdump, progress)) for file in files)


def _judged(file: Path, zgetdump: Zgetdump, progress: Progress) -> CheckResult:
    with open_dump(file) as dump, zgetdump.judging(file, dump) as opinion:
        return agreement.check(dump, opinion, progress)


def _unreadable(dump: Dump) -> str | None:
    try:
        _ = dump.cpus, dump.vmcoreinfo
    except EvidenceError as error:
        return error.message
    why = incomplete(dump)
    return None if why is None else f"the dump is not whole: {why}"


def _skipped(why: str) -> CheckResult:
    return CheckResult.skipped(agreement.CHECK, agreement.UNIT, why)


def _together(parts: Iterable[tuple[Path, CheckResult]]) -> CheckResult:
    """One check result for several files; findings and notes name the file."""
    named = [(file.name, result.explained()) for file, result in parts]
    return CheckResult(
        agreement.CHECK,
        sum(result.compared for _, result in named),
        agreement.UNIT,
        tuple(
            Finding(agreement.CHECK, finding.kind, f"{name}: {finding.message}", finding.details)
            for name, result in named
            for finding in result.findings
        ),
        tuple(dict.fromkeys(item for _, result in named for item in result.allowed)),
        notes=tuple(f"{name}: {note}" for name, result in named for note in result.notes),
    )
