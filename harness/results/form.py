"""The forms in which a night can be exported."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """JUNIT: for CI systems. KTAP: as the kernel's tests print. SUMMARY: Markdown, for a mail or
    the summary of a CI job. KCIDB: kernel CI's common database, schema 5.3 (kcidb-io validates it;
    to submit it is the user's step). MAIL: a message of RFC 5322.
    """

    JUNIT = "junit"
    KTAP = "ktap"
    SUMMARY = "summary"
    KCIDB = "kcidb"
    MAIL = "mail"
