"""The files that were on the dump disk before the dump are still there, byte for byte.

Of older dumps, a tool may delete as many as the scenario expects, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import EvidenceError
from harness.evidence.known_files import FoundFile, KnownFile, KnownFiles
from harness.evidence.names import DUMP_DIRECTORY, FILES
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "files", "files"


def check(evidence: Evidence) -> CheckResult:
    """Compare path, size and SHA-256 of each file.

    Skipped if the scenario has put no files on the disk. Raises EvidenceError if nobody looked.
    """
    files = evidence.files
    if files is None:
        return CheckResult.skipped(CHECK, UNIT, "no known files were on the dump disk")
    if files.after is None:
        raise EvidenceError(f"{DUMP_DIRECTORY}/{FILES}: the files were not looked for")
    findings = tuple(Finding(CHECK, kind, what) for kind, what in _faults(files, evidence))
    deleted = min(evidence.expect.deleted, len(files.older_dumps))
    notes = (f"{len(files.before) - deleted} files must be there, {deleted} must be deleted",)
    return CheckResult(CHECK, len(files.before), UNIT, findings, notes=notes)


def _faults(files: KnownFiles, evidence: Evidence) -> Iterator[tuple[FindingKind, str]]:
    found = {file.path: file for file in files.after or ()}
    deleted = {file.path for file in files.older_dumps[: evidence.expect.deleted]}
    if evidence.expect.deleted > len(files.older_dumps):
        message = f"{evidence.expect.deleted} older dumps are to be deleted, but not so many were"
        yield FindingKind.FILE_NOT_DELETED, message
    for file in files.before:
        there = found.get(file.path, FoundFile(path=file.path))
        what = f"{file.path}, an older dump," if file.older_dump else file.path
        fault = _fault(file, there, what)
        if there.fault is None and file.path in deleted:
            if fault is None:
                yield FindingKind.FILE_NOT_DELETED, f"{what} is still there"
        elif fault is not None:
            yield fault


def _fault(file: KnownFile, there: FoundFile, what: str) -> tuple[FindingKind, str] | None:
    """What is wrong with a file that must be there; None if nothing is."""
    if there.fault is not None:
        return FindingKind.UNREADABLE, f"{what} cannot be read: {there.fault}"
    if there.size is None:
        return FindingKind.FILE_GONE, f"{what} is gone"
    if there.size != file.size:
        return FindingKind.FILE_CHANGED, f"{what} has {there.size} bytes, it had {file.size}"
    if there.sha256 != file.sha256:
        message = f"{what} has other content: SHA-256 {there.sha256}, it had {file.sha256}"
        return FindingKind.FILE_CHANGED, message
    return None
