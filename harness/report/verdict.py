"""The verdict of one run: PASS, FAIL (the dump is wrong) or ERROR (the harness is)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from signal import Signals
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from harness.errors import EvidenceError, ExitCode, HarnessError
from harness.phase import Phase
from harness.schema_words import first_fault
from harness.verify.checks import outcome
from harness.verify.judge import Judgement


class Result(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    ERROR = "ERROR"
    INTERRUPTED = "INTERRUPTED"  # somebody ended the run before it had another result

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode[self.name]


@dataclass(frozen=True)
class Verdict:
    """The content of ``verdict.json``.

    ``expected_wrong``: PASS means that the dump is wrong, as the scenario expects.
    ``phase`` is the one that failed; ``checks`` are the checks' results as JSON, ``fidelity``
    who provided which machine function, ``timings`` seconds per phase, ``inputs`` versions and
    digests of what went in. ``cause`` is the kind of an ``error``, as ``harness.errors`` calls it.
    """

    result: Result
    directory: Path
    expected_wrong: bool = False
    phase: Phase | None = None
    error: str | None = None
    hint: str | None = None
    cause: str | None = None
    checks: Sequence[Mapping[str, Any]] = ()
    fidelity: Sequence[Mapping[str, str]] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, judgement: Judgement, **context: Any) -> Verdict:
        """PASS or FAIL; ``context`` are the other fields."""
        context |= {"checks": judgement.to_json(), "expected_wrong": judgement.expected_wrong}
        if judgement.passed:
            return cls(Result.PASS, **context)
        return cls(Result.FAIL, phase=_phase(judgement), **context)

    @classmethod
    def trouble(cls, error: HarnessError, phase: Phase | None, **context: Any) -> Verdict:
        """ERROR, in ``phase``; ``context`` are the other fields."""
        context |= {"error": error.message, "hint": error.hint, "cause": type(error).__name__}
        return cls(Result.ERROR, phase=phase, **context)

    @classmethod
    def interrupted(cls, number: int, phase: Phase | None, **context: Any) -> Verdict:
        """INTERRUPTED by the signal ``number``, in ``phase``; ``context`` are the other fields."""
        name = Signals(number).name
        return cls(
            Result.INTERRUPTED, phase=phase, error=f"interrupted by {name}", cause=name, **context
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any], directory: Path) -> Verdict:
        """The inverse of :meth:`to_json`; raises EvidenceError if ``data`` is no verdict."""
        try:
            told = _VerdictFile.model_validate(data)
        except ValidationError as error:
            raise EvidenceError(f"{directory}: not a verdict: {first_fault(error)}") from error
        known = {name: data[name] for name in told.model_fields_set - {"verdict", "phase"}}
        return cls(told.verdict, directory, phase=told.phase, **known)

    @property
    def exit_code(self) -> ExitCode:
        return self.result.exit_code

    @property
    def findings(self) -> list[Mapping[str, Any]]:
        """Every finding of every check."""
        return [finding for check in self.checks for finding in check["findings"]]

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.result),
            "expected_wrong": self.expected_wrong,
            "phase": self.phase,
            "error": self.error,
            "cause": self.cause,
            "hint": self.hint,
            "checks": list(self.checks),
            "fidelity": list(self.fidelity),
            "timings": dict(self.timings),
            "inputs": dict(self.inputs),
        }


def _phase(judgement: Judgement) -> Phase:
    """The phase in which a dump went wrong: while it was written, or when it was judged."""
    unfinished = any(
        result.check == outcome.CHECK for result in judgement.results if not result.passed
    )
    return Phase.DUMP if unfinished else Phase.VERIFY


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Finding(_File):
    check: str
    message: str
    details: dict[str, Any] = {}


class _Allowed(_File):
    where: str
    reason: str


class _Check(_File):
    check: str
    passed: bool
    compared: NonNegativeInt
    unit: str
    findings: list[_Finding]
    allowed: list[_Allowed]
    skipped: str | None
    notes: list[str] = []


class _VerdictFile(_File):
    """The shape of ``verdict.json``, which may be someone else's."""

    verdict: Annotated[Result, Field(strict=False)]
    expected_wrong: bool = False
    phase: Annotated[Phase, Field(strict=False)] | None = None
    error: str | None = None
    hint: str | None = None
    cause: str | None = None
    checks: list[_Check] = []
    fidelity: list[dict[str, str]] = []
    timings: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    inputs: dict[str, Any] = {}
