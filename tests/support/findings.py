"""The parts of findings that programs read."""

from __future__ import annotations

from typing import TypeVar

from harness.verify.findings import Finding
from harness.verify.kinds import Details

Told = TypeVar("Told", bound=Details)


def details(finding: Finding, of_type: type[Told]) -> Told:
    assert isinstance(finding.details, of_type), finding
    return finding.details
