"""Checks with other people's tools on the dump of a run, one check per tool."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.dump.describe import incomplete
from harness.dump.detect import open_dump
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.judges import agreement, libkdumpfile
from harness.judges.zgetdump import Zgetdump
from harness.progress import Progress
from harness.s390x.disk_layout import DiskLayout
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.run_checks import CheckedRun


def hear(
    checked: CheckedRun, evidence: Evidence, disk: Path, zgetdump: Zgetdump, progress: Progress
) -> CheckedRun:
    """Add their checks to our own; raises what :func:`check` raises."""
    return checked.also(check(evidence, disk, zgetdump, progress)).also(_libkdumpfile(evidence))


def _libkdumpfile(evidence: Evidence) -> CheckResult:
    dump, path = evidence.dump, evidence.dump_path
    if dump is None or path is None:
        nothing = evidence.dump_fault or "there is no dump"
        return CheckResult.skipped(libkdumpfile.CHECK, libkdumpfile.UNIT, nothing)
    if why := _unreadable(dump):
        return CheckResult.skipped(libkdumpfile.CHECK, libkdumpfile.UNIT, why)
    return libkdumpfile.check(path, dump)


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
