"""The results of checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from harness.errors import HarnessError

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: a line for people, and ``details`` (plain JSON) for programs."""

    check: str
    message: str
    details: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def to_json(self) -> dict[str, Any]:
        return {"check": self.check, "message": self.message, "details": dict(self.details)}


@dataclass(frozen=True)
class AllowedDifference:
    """A difference that was found and is right, and why. ``where`` is a page, area or register."""

    where: str
    reason: str


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome: how many things were ``compared``, in ``unit``, and the findings.

    ``skipped_reason`` tells why the check does not apply to this evidence. ``notes`` say what was
    looked at, for people who want to know how much a pass means. ``nonzero`` is how many of the
    things compared were not zero, where that is counted: zeros that equal zeros prove little.
    ``trouble`` prevented the check; it is not the dump's fault.
    """

    check: str
    compared: int
    unit: str
    findings: tuple[Finding, ...] = ()
    allowed: tuple[AllowedDifference, ...] = ()
    skipped_reason: str | None = None
    notes: tuple[str, ...] = ()
    nonzero: int | None = None
    trouble: HarnessError | None = None

    @classmethod
    def failed(cls, check: str, unit: str, message: str) -> CheckResult:
        """The result if there was nothing to compare, because of ``message``."""
        return cls(check, 0, unit, (Finding(check, message),))

    @classmethod
    def skipped(cls, check: str, unit: str, reason: str) -> CheckResult:
        return cls(check, 0, unit, skipped_reason=reason)

    @classmethod
    def unable(cls, check: str, unit: str, trouble: HarnessError) -> CheckResult:
        return cls(check, 0, unit, skipped_reason=trouble.message, trouble=trouble)

    @property
    def passed(self) -> bool:
        """A check that compared nothing has not passed, unless it was skipped with a reason."""
        return self.skipped_reason is not None or (self.compared > 0 and not self.findings)

    def judged(self) -> CheckResult:
        """The result; if it has compared nothing, a finding is added."""
        if self.passed or self.findings:
            return self
        return self.failed(self.check, self.unit, f"compared no {self.unit} at all")

    def to_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "passed": self.passed,
            "compared": self.compared,
            "unit": self.unit,
            "nonzero": self.nonzero,
            "findings": [finding.to_json() for finding in self.findings],
            "allowed": [asdict(difference) for difference in self.allowed],
            "skipped": self.skipped_reason,
            "notes": list(self.notes),
        }
