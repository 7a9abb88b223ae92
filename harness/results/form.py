"""The forms in which a night can be exported."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """JUNIT: for CI systems. KTAP: as the kernel's tests print. SUMMARY: Markdown, for a mail or
    the summary of a CI job.
    """

    JUNIT = "junit"
    KTAP = "ktap"
    SUMMARY = "summary"
