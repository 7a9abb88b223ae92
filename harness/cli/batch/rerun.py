"""Which scenarios of an earlier batch did not pass."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from harness.files.json_file import as_model, read_object
from harness.report.verdict import Result
from harness.scenario.select import word_of

_NUMBER = re.compile(r"#\d+$")  # of a scenario that ran several times


class _Run(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    verdict: str
    file: str


class _Report(BaseModel):
    model_config = ConfigDict(extra="ignore")

    runs: list[_Run]


def not_passed(report: Path) -> list[str]:
    """The words that select what did not pass in a report.json; each comes once.

    Raises EvidenceError if it is no report.
    """
    told = as_model(_Report, read_object(report), report)
    bad = [run for run in told.runs if run.verdict != Result.PASS]
    words = (word_of(Path(run.file), _NUMBER.sub("", run.name)) for run in bad)
    return list(dict.fromkeys(words))
