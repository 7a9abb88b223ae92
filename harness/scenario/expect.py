"""What a scenario expects of its run."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from harness.scenario.strict import Strict, refusal


def _compilable(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise refusal(f"'{pattern}' is no regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compilable)]


class DumpFormat(StrEnum):
    """The format that the dump tool writes, by the name that zgetdump has for it."""

    ELF = "elf"
    S390 = "s390"
    S390_EXT = "s390_ext"


class Expect(Strict):
    """What the run must show, besides a dump that equals the crashed machine's memory."""

    verdict: Literal["PASS", "FAIL"] = Field("PASS", description="of the dump itself")
    findings: tuple[Pattern, ...] = Field(
        (),
        description="with FAIL: regular expressions for the findings, 'CHECK: what it says'; each "
        "matches one, and each finding is matched",
    )
    crash_console: tuple[Pattern, ...] = Field(
        (), description="regular expressions that the crashed system's console must match"
    )
    dump_console: tuple[Pattern, ...] = Field(
        (), description="regular expressions that the dump system's console must match"
    )
    early: bool = Field(
        False,
        description="whether the system crashes before its kernel has set VMCOREINFO, which the "
        "dump then lacks",
    )
    deleted: int = Field(
        0, ge=0, description="how many of dump.older_dumps the tool deletes, the oldest first"
    )
    reipl: bool = Field(False, description="whether the original system is re-IPLed in the end")
    own_dump: bool = Field(
        False,
        description="whether the full system, loaded again, must collect its dump with its own "
        "zgetdump",
    )
    time_limit: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="for the dump, in boots of the crashed system in the same run",
    )

    @model_validator(mode="after")
    def _findings_are_of_wrong_dumps(self) -> Self:
        if self.findings and self.verdict == "PASS":
            raise ValueError("findings: a right dump has none; verdict = 'FAIL' expects them")
        if self.verdict == "FAIL" and not self.findings:
            raise ValueError("findings: needed with verdict = 'FAIL': say what is to be wrong")
        return self
