"""The results of checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.errors import HarnessError
from harness.verify.kinds import NO_DETAILS, Details, FindingKind


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: a ``message`` for people, ``kind`` and ``details`` for programs.

    The details are of the type that the kind names; raises TypeError for others.
    """

    check: str
    kind: FindingKind
    message: str
    details: Details = NO_DETAILS

    def __post_init__(self) -> None:
        if type(self.details) is not self.kind.details:
            raise TypeError(f"details of {self.kind} are {self.kind.details}, not {self.details!r}")

    def __str__(self) -> str:
        """``CHECK: message``, which the patterns of users are held against."""
        return f"{self.check}: {self.message}"


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
    ``trouble`` prevented the check; it is not the dump's fault, and in no file.
    """

    check: str
    compared: int
    unit: str
    findings: tuple[Finding, ...] = ()
    allowed: tuple[AllowedDifference, ...] = ()
    skipped_reason: str | None = None
    notes: tuple[str, ...] = ()
    nonzero: int | None = None
    trouble: HarnessError | None = field(default=None, compare=False)

    @classmethod
    def failed(cls, check: str, unit: str, kind: FindingKind, message: str) -> CheckResult:
        """The result if there was nothing to compare, because of ``message``."""
        return cls(check, 0, unit, (Finding(check, kind, message),))

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

    def explained(self) -> CheckResult:
        """The result; if it has compared nothing, a finding is added."""
        if self.passed or self.findings:
            return self
        message = f"compared no {self.unit} at all"
        return self.failed(self.check, self.unit, FindingKind.NOTHING_COMPARED, message)
