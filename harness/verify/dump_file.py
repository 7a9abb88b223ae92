"""The dump file itself: there, an s390x ELF core, and as long as its headers promise."""

from __future__ import annotations

from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding

CHECK, UNIT = "dump-file", "PT_LOAD segments"


def check(evidence: Evidence) -> CheckResult:
    """Count the PT_LOADs whose content is in the file whole."""
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
    return CheckResult(CHECK, len(dump.segments), UNIT, tuple(findings))
