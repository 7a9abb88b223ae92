"""All checks over one run's evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.verify import (
    console,
    content,
    dump_file,
    memory_map,
    outcome,
    pages,
    registers,
    superblock,
    vmcoreinfo,
)
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding

Check = Callable[[Evidence], CheckResult]

CHECKS: tuple[Check, ...] = (
    outcome.check,
    console.check,
    dump_file.check,
    superblock.check,
    memory_map.check,
    pages.check,
    registers.check,
    vmcoreinfo.check,
    content.check,
)


@dataclass(frozen=True)
class Judgement:
    """Every check's result, in the order of ``CHECKS``."""

    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for result in self.results for finding in result.findings)

    def to_json(self) -> list[dict[str, Any]]:
        """``checks`` of ``verdict.json``: one object per check."""
        return [result.to_json() for result in self.results]


def judge(evidence: Evidence, checks: tuple[Check, ...] = CHECKS) -> Judgement:
    """Run every check; one that compared nothing gets a finding that says so."""
    return Judgement(tuple(_not_empty(check(evidence)) for check in checks))


def _not_empty(result: CheckResult) -> CheckResult:
    if result.passed or result.findings:
        return result
    return CheckResult.failed(result.check, result.unit, f"compared no {result.unit} at all")
