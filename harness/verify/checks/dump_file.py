"""The dump file: it is there, complete, in the requested format, and its headers agree.

One that ngdump.meta names has the SHA-256 that it says, too.
"""

from __future__ import annotations

from harness.dump.disk.ngdump import META, has_sha256
from harness.dump.reader import Dump
from harness.progress import NoProgress
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, MissingMemory

CHECK, UNIT = "dump-file", "segments"
OTHER_CHECKSUM = f"the dump is not the one of which {META} has the SHA-256"
_BESIDES_MEMORY = 64 << 20  # bytes: headers and notes of a dump


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
    if evidence.sha256sum is not None and not _has_sha256(evidence, dump, evidence.sha256sum):
        findings.append(Finding(CHECK, FindingKind.CHECKSUM_WRONG, OTHER_CHECKSUM))
    return CheckResult(CHECK, len(dump.segments), UNIT, tuple(findings))


def _has_sha256(evidence: Evidence, dump: Dump, expected: str) -> bool:
    """False for a file that no dump of this memory can be: a hostile size is never read."""
    content = dump.content
    if content.size > 2 * evidence.ram.size + _BESIDES_MEMORY:
        return False
    return has_sha256(content, expected, NoProgress())
