"""What a run must show in place of a right dump, if its scenario makes something go wrong.

The scenario names the findings itself (``expect.findings``), or it has faults: then the table of
faults says what a dump system promises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.faults.fault import Promise
from harness.faults.table import promise_of
from harness.verify.checks import console, dump_file, outcome, superblock
from harness.verify.checks.outcome import FINISHED
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

VERDICT, UNIT = "verdict", "verdicts"
_OF_THE_SYSTEM = (outcome.CHECK, console.CHECK)  # not of what is on the disk
_OF_THE_WHOLE = (dump_file.CHECK, superblock.CHECK)  # what any reader of a dump looks at


def check(evidence: Evidence, dump: Sequence[CheckResult]) -> CheckResult | None:
    """Whether the ``dump`` checks found it wrong in the expected way; None if it must be right."""
    patterns: Sequence[str] = evidence.expect.findings
    follows: Sequence[str] = ()
    if evidence.expect.verdict == "PASS":
        promise = promise_of(evidence.faults)
        if promise is Promise.SURVIVES:
            return None
        if missed := tuple(_missed(evidence)):
            return CheckResult(VERDICT, len(evidence.faults), UNIT, missed)
        if promise is Promise.HONEST:
            return CheckResult(VERDICT, 1, UNIT, tuple(_dishonest(evidence, dump)))
        if promise is Promise.REFUSED:
            return CheckResult(VERDICT, 1, UNIT, tuple(_not_refused(evidence, dump)))
        kinds = [fault.kind for fault in evidence.faults]
        patterns = tuple({pattern: None for kind in kinds for pattern in kind.findings})
        follows = tuple({pattern: None for kind in kinds for pattern in kind.follows})
    wrong = tuple(_not_as_named(patterns, follows, dump))
    return CheckResult(VERDICT, 1 + len(patterns), UNIT, wrong)


def looks_whole(dump: Sequence[CheckResult]) -> bool:
    """Whether any reader takes the dump for a whole one, whatever its content is."""
    return all(result.passed for result in dump if result.check in _OF_THE_WHOLE)


def content_is_right(dump: Sequence[CheckResult]) -> bool:
    """Whether what a reader finds in the dump is right: all but the superblock's own fields.

    Power that is cut between the dump's first page and its superblock leaves such a dump.
    """
    others = (*_OF_THE_SYSTEM, superblock.CHECK, VERDICT)
    return all(result.passed for result in dump if result.check not in others)


def _missed(evidence: Evidence) -> Iterator[Finding]:
    """Findings about faults that never happened: then the dump is wrong for another reason."""
    played = evidence.outcome.get("faults")
    for fault in evidence.faults:
        if not (isinstance(played, dict) and played.get(str(fault))):
            message = f"the dump system ended before {fault} happened"
            yield Finding(VERDICT, FindingKind.FAULT_MISSED, message)


def _not_as_named(
    patterns: Sequence[str], follows: Sequence[str], dump: Sequence[CheckResult]
) -> Iterator[Finding]:
    """Findings about a dump that is not wrong in the ways that are named.

    It may be wrong in other ways, too: an expected fault must not hide one that is not expected.
    """
    found = [str(finding) for result in dump for finding in result.findings]
    if not found:
        message = "the dump was expected to be wrong, but it is right"
        yield Finding(VERDICT, FindingKind.NOT_WRONG, message)
        return
    for pattern in patterns:
        if not any(re.search(pattern, finding) for finding in found):
            message = f"the dump is wrong, but no finding matches '{pattern}'"
            yield Finding(VERDICT, FindingKind.FINDING_UNMATCHED, message)
    for finding in found:
        if not any(re.search(pattern, finding) for pattern in (*patterns, *follows)):
            message = f"the dump is wrong in a way that was not expected: {finding}"
            yield Finding(VERDICT, FindingKind.FINDING_UNEXPECTED, message)


def _not_refused(evidence: Evidence, dump: Sequence[CheckResult]) -> Iterator[Finding]:
    """Findings about a dump that somebody could take for a whole and right one."""
    named = ", ".join(map(str, evidence.faults))
    if all(result.passed for result in dump):
        message = f"after {named} there must be no whole dump, but there is one, and it is right"
        yield Finding(VERDICT, FindingKind.NOT_WRONG, message)
        return
    yield from _taken_for_right(evidence, dump, named)


def _dishonest(evidence: Evidence, dump: Sequence[CheckResult]) -> Iterator[Finding]:
    """Findings about a dump that looks whole and is wrong; whatever became of the dump system."""
    if not all(result.passed for result in dump if result.check not in _OF_THE_SYSTEM):
        yield from _taken_for_right(evidence, dump, ", ".join(map(str, evidence.faults)))


def _taken_for_right(
    evidence: Evidence, dump: Sequence[CheckResult], named: str
) -> Iterator[Finding]:
    if evidence.outcome.get("outcome") == FINISHED:
        message = f"after {named} the dump tool said that the dump is complete, and it is wrong"
        yield Finding(VERDICT, FindingKind.SAID_COMPLETE, message)
    if looks_whole(dump):
        message = f"after {named} there is a dump that looks whole, and it is wrong"
        yield Finding(VERDICT, FindingKind.LOOKS_WHOLE, message)
