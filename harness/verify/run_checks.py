"""Run all checks on one run's evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.faults.fault import Promise
from harness.faults.table import promise_of
from harness.verify import expected_wrong
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
    with time_to_match():
        verdict = expected_wrong.check(evidence, dump)
    if verdict is None:
        return CheckedRun(dump, rest, hint=hint)
    return CheckedRun(dump, (*rest, verdict), expected_wrong=True, hint=hint)


def _raise_trouble(evidence: Evidence, dump: tuple[CheckResult, ...]) -> None:
    """Raise trouble, unless another check finds the dump wrong.

    If a wrong dump is expected, trouble always counts.
    """
    trouble = next((result.trouble for result in dump if result.trouble), None)
    right = all(result.passed for result in dump)
    expected = evidence.expect.verdict == "FAIL" or promise_of(evidence.faults) != Promise.SURVIVES
    if trouble is not None and (right or expected):
        raise trouble
