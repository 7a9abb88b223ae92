"""Run all checks on one run's evidence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from harness.verify.checks import (
    console,
    dump_file,
    expectations,
    known_files,
    memory_map,
    outcome,
    own_dump,
    pages,
    registers,
    reipl,
    superblock,
)
from harness.verify.checks import planted_content as content
from harness.verify.checks.crashed_kernel import statements, vmcoreinfo
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.patterns import time_to_match
from harness.verify.semantic import check as semantic
from harness.verify.witnesses import check as witnesses

Check = Callable[[Evidence], CheckResult]

# checks of the dump: a scenario may expect these to fail
DUMP_CHECKS: tuple[Check, ...] = (
    outcome.check,
    console.check,
    dump_file.check,
    superblock.check,
    memory_map.check,
    pages.check,
    registers.check,
    vmcoreinfo.check,
    statements.check,
    content.check,
    semantic.check,
    witnesses.check,
    known_files.check,
)
# checks of everything else
OTHER_CHECKS: tuple[Check, ...] = (reipl.check, own_dump.check, expectations.check)
VERDICT, VERDICT_UNIT = "verdict", "verdicts"


@dataclass(frozen=True)
class CheckedRun:
    """The results of the ``dump`` checks and of the ``rest``, in the order of the checks.

    ``expected_wrong``: the dump of this scenario must be wrong. ``hint``: what may help a dump that
    is wrong.
    """

    dump: tuple[CheckResult, ...]
    rest: tuple[CheckResult, ...] = ()
    expected_wrong: bool = False
    hint: str | None = None

    @property
    def results(self) -> tuple[CheckResult, ...]:
        return self.dump + self.rest

    @property
    def right(self) -> bool:
        """Whether the dump is right."""
        return all(result.passed for result in self.dump)

    @property
    def passed(self) -> bool:
        """Whether everything is as the scenario expects."""
        return self.right is not self.expected_wrong and all(item.passed for item in self.rest)

    def also(self, result: CheckResult) -> CheckedRun:
        """The same, with one more check of the ``rest``."""
        return replace(self, rest=(*self.rest, result.explained()))

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for result in self.results for finding in result.findings)


def run_checks(evidence: Evidence, checks: tuple[Check, ...] = DUMP_CHECKS) -> CheckedRun:
    """Run every check; one that compared nothing gets a finding that says so.

    Raises the trouble that prevented a check, unless the dump is wrong even without that check.
    """
    dump = tuple(check(evidence).explained() for check in checks)
    rest = tuple(check(evidence).explained() for check in OTHER_CHECKS)
    _raise_trouble(evidence, dump)
    hint = console.hint(evidence)
    if evidence.expect.verdict == "PASS":
        return CheckedRun(dump, rest, hint=hint)
    with time_to_match():
        wrong = tuple(_not_as_wrong(evidence, dump))
    verdict = CheckResult(VERDICT, 1 + len(evidence.expect.findings), VERDICT_UNIT, wrong)
    return CheckedRun(dump, (*rest, verdict), expected_wrong=True, hint=hint)


def _raise_trouble(evidence: Evidence, dump: tuple[CheckResult, ...]) -> None:
    """Raise trouble, unless another check finds the dump wrong.

    If a wrong dump is expected, trouble always counts.
    """
    trouble = next((result.trouble for result in dump if result.trouble), None)
    right = all(result.passed for result in dump)
    if trouble is not None and (right or evidence.expect.verdict == "FAIL"):
        raise trouble


def _not_as_wrong(evidence: Evidence, dump: tuple[CheckResult, ...]) -> Iterator[Finding]:
    """Findings about a dump that is not wrong in the expected way.

    It may also be wrong in another way: an expected fault must not hide another one.
    """
    found = [str(finding) for result in dump for finding in result.findings]
    if not found:
        message = "the dump was expected to be wrong, but it is right"
        yield Finding(VERDICT, FindingKind.NOT_WRONG, message)
        return
    patterns = evidence.expect.findings
    for pattern in patterns:
        if not any(re.search(pattern, finding) for finding in found):
            message = f"the dump is wrong, but no finding matches '{pattern}'"
            yield Finding(VERDICT, FindingKind.FINDING_UNMATCHED, message)
    for finding in found:
        if not any(re.search(pattern, finding) for pattern in patterns):
            message = f"the dump is wrong in a way that was not expected: {finding}"
            yield Finding(VERDICT, FindingKind.FINDING_UNEXPECTED, message)
