"""The verdict of one run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from signal import Signals
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from harness.errors import EvidenceError, ExitCode, HarnessError
from harness.phase import Phase
from harness.report.check_file import (
    Check1,
    CheckFile,
    FileModel,
    checks_to_json,
    class_of,
)
from harness.report.field_docs import described
from harness.schema_words import first_fault
from harness.verify.checks import outcome
from harness.verify.findings import CheckResult, Finding
from harness.verify.run_checks import CheckedRun

VERSION = 2  # of verdict.json
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Result(StrEnum):
    """PASS: all is as the scenario expects. FAIL: the dump, or something else, is not. ERROR: the
    harness or the host is at fault, so nothing is known of the dump.
    """

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
    ``phase`` is the one that failed; ``fidelity`` says who provided which machine function,
    ``timings`` seconds per phase, ``inputs`` versions and digests of what went in. ``cause`` is
    the kind of an ``error``, as ``harness.errors`` calls it. ``started`` is when the run began (ISO
    8601, UTC), ``host`` where.
    """

    result: Result
    directory: Path
    expected_wrong: bool = False
    phase: Phase | None = None
    error: str | None = None
    hint: str | None = None
    cause: str | None = None
    checks: tuple[CheckResult, ...] = ()
    fidelity: Sequence[Mapping[str, str]] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    started: str | None = None
    host: str | None = None

    @classmethod
    def of(cls, checked: CheckedRun, **context: Any) -> Verdict:
        """PASS or FAIL; ``context`` are the other fields."""
        context |= {"checks": checked.results, "expected_wrong": checked.expected_wrong}
        if checked.passed:
            return cls(Result.PASS, **context)
        return cls(Result.FAIL, phase=_phase(checked), hint=checked.hint, **context)

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
        """The inverse of :meth:`to_json`, for files of earlier versions, too.

        Raises EvidenceError if ``data`` is no verdict, or one of a later version.
        """
        told = _parsed(data, directory)
        known = {
            name: data[name]
            for name in told.model_fields_set - {"verdict", "version", "phase", "checks"}
        }
        known |= {
            "phase": told.phase,
            "checks": tuple(check.result for check in told.checks),
            "fidelity": tuple(told.fidelity),
        }
        return cls(told.verdict, directory, **known)

    @property
    def exit_code(self) -> ExitCode:
        return self.result.exit_code

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding of every check."""
        return tuple(finding for check in self.checks for finding in check.findings)

    def differences(self, other: Verdict) -> list[str]:
        """What ``other``, of the same run at another time, has that is not so here; for people.

        Two verdicts are the same if their results are, and the kinds of their findings.
        """
        found = []
        if self.result is not other.result:
            found.append(f"the result was {self.result}, and is {other.result} now")
        then, now = (
            {(each.check, each.kind.value) for each in verdict.findings}
            for verdict in (self, other)
        )
        found += [
            f"was found then, and not now: {check}, {kind}" for check, kind in sorted(then - now)
        ]
        found += [
            f"is found now, and was not then: {check}, {kind}" for check, kind in sorted(now - then)
        ]
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "verdict": str(self.result),
            "expected_wrong": self.expected_wrong,
            "phase": self.phase,
            "error": self.error,
            "cause": self.cause,
            "hint": self.hint,
            "checks": checks_to_json(self.checks),
            "fidelity": list(self.fidelity),
            "timings": dict(self.timings),
            "inputs": dict(self.inputs),
            "started": self.started,
            "host": self.host,
        }


def _phase(checked: CheckedRun) -> Phase:
    """The phase in which a dump went wrong: while it was written, or when it was checked."""
    unfinished = any(
        result.check == outcome.CHECK for result in checked.results if not result.passed
    )
    return Phase.DUMP if unfinished else Phase.VERIFY


class _VerdictBase(FileModel):
    verdict: Annotated[Result, Field(strict=False)]
    """PASS, FAIL (the dump is wrong), ERROR (the harness or its host is at fault), INTERRUPTED."""
    expected_wrong: bool = False
    """Whether PASS means that the dump is wrong, as the scenario expects."""
    phase: Annotated[Phase, Field(strict=False)] | None = None
    """The phase that failed, or that was under way; null if none did."""
    error: str | None = None
    """What happened, if it is an ERROR or INTERRUPTED."""
    hint: str | None = None
    """What to do about an error, or about a dump system that ran out of memory."""
    cause: str | None = None
    """The kind of an error, or the signal that interrupted the run."""
    checks: list[Any] = Field([])
    """The checks, in the order in which they were made."""
    fidelity: list[dict[str, str]] = Field([])
    """For each machine function: function, provider (QEMU, harness, absent, given) and detail."""
    timings: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field({})
    """Seconds by phase."""
    inputs: dict[str, Any] = Field({})
    """Versions and digests of all that went in."""
    started: str | None = None
    """When the run began, in ISO 8601, UTC."""
    host: str | None = None
    """The name of the host on which it ran."""


class _Verdict1(_VerdictBase):
    checks: list[Check1] = Field([])


class VerdictFile(_VerdictBase):
    """The verdict of one run: verdict.json of its evidence."""

    model_config = ConfigDict(title="zharness verdict")

    version: Literal[2]
    """Of the form of this file; a file of version 1 does not have it."""
    checks: list[CheckFile] = Field([])
    """The checks, in the order in which they were made."""


def schema() -> dict[str, Any]:
    """The JSON Schema of ``verdict.json``, of the version that is written."""
    told = VerdictFile.model_json_schema()
    described(told, lambda name: class_of(name) if name else VerdictFile)
    return {"$schema": _DIALECT, **told}


def _parsed(data: Mapping[str, Any], directory: Path) -> _Verdict1 | VerdictFile:
    version = data.get("version", 1)
    if type(version) is int and version > VERSION:
        raise EvidenceError(
            f"{directory}: its verdict is of version {version}, and this harness reads none "
            f"later than {VERSION}",
            hint="the harness that wrote it, or a later one, reads it",
        )
    model = _Verdict1 if version == 1 and version is not True else VerdictFile
    try:
        # as JSON, where a list is a tuple
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise EvidenceError(f"{directory}: not a verdict: {first_fault(error)}") from error
