"""Run one check on the evidence of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult


def checked(check: Callable[[Evidence], CheckResult], root: Path) -> CheckResult:
    with Evidence.open(root) as evidence:
        return check(evidence)


def said(result: CheckResult) -> str:
    return "\n".join(finding.message for finding in result.findings)
