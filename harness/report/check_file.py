"""Checks as JSON: in ``verdict.json``, and in what ``zharness dump check --json`` prints.

They are written and read here and nowhere else. What is read may be someone else's.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    Tag,
    create_model,
    model_validator,
)
from pydantic_core import to_jsonable_python

from harness.verify import kinds
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import NO_DETAILS, Details, FindingKind

_KINDS = frozenset(map(str, FindingKind))


def checks_to_json(results: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """One object per check, of the form of :class:`CheckFile`."""
    return [_check_to_json(result) for result in results]


def findings_to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """One object per finding: ``check``, ``kind``, ``message`` and ``details``."""
    return [_finding_to_json(finding) for finding in findings]


def _check_to_json(result: CheckResult) -> dict[str, Any]:
    return {
        "check": result.check,
        "passed": result.passed,
        "compared": result.compared,
        "unit": result.unit,
        "nonzero": result.nonzero,
        "findings": findings_to_json(result.findings),
        "allowed": [{"where": item.where, "reason": item.reason} for item in result.allowed],
        "skipped": result.skipped_reason,
        "notes": list(result.notes),
    }


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "kind": str(finding.kind),
        "message": finding.message,
        "details": to_jsonable_python(finding.details),
    }


class FileModel(BaseModel):
    """A part of a file; there may be more beside it."""

    model_config = ConfigDict(strict=True, extra="ignore")


class FindingBase(FileModel):
    """One thing that is wrong."""

    check: str
    """The check that found it."""
    message: str
    """A line for people. Its wording may change."""


class Finding1(FindingBase):
    """As version 1 has it: nothing tells the kind, and details have no form to rely on."""

    details: dict[str, Any] = Field({})

    @property
    def finding(self) -> Finding:
        return Finding(self.check, FindingKind.UNSPECIFIED, self.message)


class LaterFinding(Finding1):
    """One thing that is wrong, of a kind that only a later harness knows."""

    kind: Annotated[str, Field(json_schema_extra={"not": {"enum": sorted(_KINDS)}})]
    """What is wrong."""
    details: dict[str, Any] = Field({})
    """What else there is to know of it."""


class FindingFile(FindingBase):
    """One thing that is wrong; its kind says which details it has."""

    kind: FindingKind
    details: Any

    @property
    def finding(self) -> Finding:
        return Finding(self.check, self.kind, self.message, self.details)


def _of_type(details: type[Details]) -> type[FindingFile]:
    """The form of the findings that have these details."""
    kinds = tuple(kind for kind in FindingKind if kind.details is details)
    name = "PlainFinding" if details is Details else f"{details.__name__}Finding"
    kind: Any = Literal[kinds]  # of which mypy knows no more
    what = "What is wrong: a word that stays the same, for programs."
    more = f"What else there is to know of it. {details.__doc__}"
    return create_model(
        name,
        __base__=FindingFile,
        __doc__=FindingFile.__doc__,
        kind=(kind, Field(description=what)),
        details=(details, Field(NO_DETAILS if details is Details else ..., description=more)),
    )


def _known_or_later(finding: Any) -> Literal["known", "later"]:
    kind = finding.get("kind") if isinstance(finding, dict) else None
    return "known" if isinstance(kind, str) and kind in _KINDS else "later"


if TYPE_CHECKING:
    AnyFinding = FindingFile
else:
    _models = map(_of_type, dict.fromkeys(kind.details for kind in FindingKind))
    _Known = Annotated[reduce(or_, _models), Field(discriminator="kind"), Tag("known")]
    _Later = Annotated[LaterFinding, Tag("later")]
    AnyFinding = Annotated[_Known | _Later, Discriminator(_known_or_later)]


class AllowedFile(FileModel):
    """A difference that was met and is right."""

    where: str
    """The page, area or register."""
    reason: str
    """Why it is right."""


class CheckBase(FileModel):
    """What one check found."""

    check: str
    """Its name."""
    passed: bool
    """Whether it was skipped, or has compared something and found nothing wrong."""
    compared: NonNegativeInt
    """How many things were compared."""
    unit: str
    """What these things are."""
    nonzero: NonNegativeInt | None = None
    """How many of these were not zero; null where that is not counted."""
    findings: list[Any]
    """All that is wrong."""
    allowed: list[AllowedFile]
    """All differences that were met and are right."""
    skipped: str | None
    """Why the check does not apply; null if it does."""
    notes: list[str] = Field([])
    """What was looked at."""

    @property
    def result(self) -> CheckResult:
        return CheckResult(
            check=self.check,
            compared=self.compared,
            unit=self.unit,
            findings=tuple(each.finding for each in self.findings),
            allowed=tuple(AllowedDifference(each.where, each.reason) for each in self.allowed),
            skipped_reason=self.skipped,
            notes=tuple(self.notes),
            nonzero=self.nonzero,
        )

    @model_validator(mode="after")
    def _passed_follows(self) -> Self:
        if self.passed is not self.result.passed:
            raise ValueError(f"passed is {self.passed}, and the rest says otherwise")
        return self


class Check1(CheckBase):
    """As version 1 has it."""

    findings: list[Finding1]


class CheckFile(CheckBase):
    """What one check found."""

    findings: list[AnyFinding]
    """All that is wrong."""


def class_of(name: str) -> type | None:
    """The class of a definition in a schema with these models; None if it has no fields."""
    made_here = {**vars(kinds), **globals()}.get(name)
    if isinstance(made_here, type):
        return made_here
    return FindingFile if name.endswith("Finding") else None  # made by _of_type
