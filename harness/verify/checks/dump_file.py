"""The dump file: it is there, complete, in the requested format, and its headers agree."""

from __future__ import annotations

from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, MissingMemory

CHECK, UNIT = "dump-file", "segments"


def check(evidence: Evidence) -> CheckResult:
    """Count the segments whose content is completely in the file."""
    dump = evidence.dump
    if dump is None:
        return CheckResult.failed(
            CHECK, UNIT, FindingKind.NO_DUMP, evidence.dump_fault or "no dump"
        )
    findings = [
        Finding(
            CHECK,
            FindingKind.TRUNCATED,
            f"truncated: of memory {segment.paddr:#x}-{segment.end - 1:#x} the file has only what "
            f"is below {segment.present_end:#x}",
            MissingMemory(segment.paddr, segment.end - segment.present_end),
        )
        for segment in dump.segments
        if segment.present_end < segment.end
    ]
    if dump.incomplete is not None:
        message = f"not written to its end: {dump.incomplete}"
        findings.append(Finding(CHECK, FindingKind.UNFINISHED, message))
    findings += [
        Finding(CHECK, FindingKind.CONTRADICTION, message) for message in dump.contradictions
    ]
    if evidence.form is not None and dump.format != evidence.form:
        message = f"its format is {dump.format}, the scenario asks for {evidence.form}"
        findings.append(Finding(CHECK, FindingKind.WRONG_FORMAT, message))
    return CheckResult(CHECK, len(dump.segments), UNIT, tuple(findings))
