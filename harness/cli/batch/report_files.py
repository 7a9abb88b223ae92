"""The report files of a batch: written whenever a run ends, and complete at any time."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from harness.cli.show.verdict import summary
from harness.errors import HostError
from harness.evidence.names import REPORT, SUMMARY
from harness.files.atomic import replace_text
from harness.files.json_text import to_text
from harness.report import junit as junit_xml
from harness.report.runs import Report

SHARE = 10  # at most a tenth of the time goes into these files, however many runs there are


class ReportFiles:
    """``report.json`` and ``summary.txt`` in ``directory``; ``junit``, if that is a plain file."""

    def __init__(self, directory: Path, junit: Path | None) -> None:
        self._directory = directory
        self._junit = junit if junit is not None and junit_xml.is_replaceable(junit) else None
        self._not_before = 0.0

    def save(self, report: Report) -> bool:
        """Write them, unless they were written just now; a full disk must not end the batch."""
        start = time.monotonic()
        if start < self._not_before:
            return False
        with suppress(HostError):
            self.write(report)
            if self._junit is not None:
                junit_xml.write(report, self._junit)
        end = time.monotonic()
        self._not_before = end + SHARE * (end - start)
        return True

    def write(self, report: Report) -> None:
        """Write all but the JUnit file; raises HostError."""
        try:
            replace_text(self._directory / REPORT, to_text(report.to_json()) + "\n")
            replace_text(self._directory / SUMMARY, summary(report))
        except OSError as error:
            raise HostError(f"{error.filename} cannot be written: {error.strerror}") from error
