"""The dump file: it is there, complete, in the requested format, and its headers agree."""

from __future__ import annotations

from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding

CHECK, UNIT = "dump-file", "segments"


def check(evidence: Evidence) -> CheckResult:
    """Count the segments whose content is completely in the file."""
    dump = evidence.dump
    if dump is None:
        return CheckResult.failed(CHECK, UNIT, evidence.dump_fault or "no dump")
    findings = [
        Finding(
            CHECK,
            f"truncated: of memory {segment.paddr:#x}-{segment.end - 1:#x} the file has only what "
            f"is below {segment.present_end:#x}",
            {"paddr": segment.paddr, "missing": segment.end - segment.present_end},
        )
        for segment in dump.segments
        if segment.present_end < segment.end
    ]
    if dump.incomplete is not None:
        findings.append(Finding(CHECK, f"not written to its end: {dump.incomplete}"))
    findings += [Finding(CHECK, message) for message in dump.contradictions]
    if dump.format != evidence.form:
        findings.append(
            Finding(CHECK, f"its format is {dump.format}, the scenario asks for {evidence.form}")
        )
    return CheckResult(CHECK, len(dump.segments), UNIT, tuple(findings))
