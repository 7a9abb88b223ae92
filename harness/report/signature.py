"""A signature: what was wrong first in a run, without what differs from one run to the next.

Two runs with one signature most likely have one cause. It is the finding that ``explain`` puts
before the others, or the kind of the error. Numbers, addresses and paths are left out. A later
version of this code may make others, so each begins with the version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.report.explain import ended_in_order, first_finding
from harness.report.verdict import Result, Verdict
from harness.verify.findings import Finding
from harness.verify.kinds import DifferingPages, PageOfDump, RegisterOfDump

VERSION = 1
_LENGTH = 160  # characters of a message that count
_PATH = re.compile(r"(?:/[\w.+@=,~-]+){2,}/?")
_NUMBER = re.compile(r"\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b|\b0x[0-9a-f]+\b")
_TIME = re.compile(r"\[ *\d+\.\d+\]")
_SPACE = re.compile(r"\s+")
_FEW = 16  # pages


def signature_of(verdict: Verdict) -> str | None:
    """The signature of a run that went wrong; None for a PASS, and for an interrupted run."""
    if verdict.result is Result.ERROR:
        parts = ["error", verdict.cause or "unknown", verdict.phase or "none"]
        return _signed([*parts, _plain((verdict.error or "").partition("\n")[0])])
    if verdict.result is not Result.FAIL:
        return None
    first = first_finding(verdict, ended=ended_in_order(verdict.directory))
    if first is None:  # what was expected did not happen
        expectations = verdict.findings
        if not expectations:
            return _signed(["fail", "unknown"])
        first = expectations[0]
    return _signed([first.check, str(first.kind), *_details(first), *_extent(first, verdict)])


def _signed(parts: list[str]) -> str:
    return f"{VERSION}:" + ":".join(part for part in parts if part)


def _details(finding: Finding) -> Iterator[str]:
    """Of a page, how far it was shifted; of a register, which; else the message."""
    match finding.details:
        case PageOfDump() as page if page.content_of:
            shifts = sorted((page.address - at for at in page.content_of), key=abs)
            yield f"shifted by {shifts[0]:+#x}"
        case PageOfDump():
            yield "content from nowhere"
        case RegisterOfDump() as register:
            yield re.sub(r"\d+", "N", register.register)
        case _:
            yield _plain(finding.message)


def _extent(first: Finding, verdict: Verdict) -> Iterator[str]:
    """In how many pages, if pages differ."""
    if isinstance(first.details, PageOfDump):
        for finding in verdict.findings:
            if isinstance(finding.details, DifferingPages):
                yield _many(finding.details.pages)
                return


def _many(count: int) -> str:
    """A class of counts."""
    if count == 1:
        return "one page"
    return "few pages" if count <= _FEW else "many pages"


def _plain(message: str) -> str:
    """The message without times, paths and numbers."""
    text = _TIME.sub("[T]", message)
    text = _PATH.sub("PATH", text)
    text = _NUMBER.sub("N", text)
    return _SPACE.sub(" ", text)[:_LENGTH].strip()
