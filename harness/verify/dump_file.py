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
            f"truncated: the PT_LOAD for {segment.paddr:#x}-{segment.end - 1:#x} ends at file "
            f"offset {segment.offset + segment.size:#x}, the file at {dump.size:#x}",
            {"paddr": segment.paddr, "missing": segment.offset + segment.size - dump.size},
        )
        for segment in dump.segments
        if segment.offset + segment.size > dump.size
    ]
    return CheckResult(CHECK, len(dump.segments), UNIT, tuple(findings))
