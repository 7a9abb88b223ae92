"""The results of one test: its evidence directory, and a section in its report."""

from __future__ import annotations

import itertools
import shutil
from collections import deque
from pathlib import Path

import pytest

from harness.errors import HarnessError, HostError, UsageError
from harness.evidence.directory import directory_names
from harness.printable import TAB, printable
from harness.testing import report as words

DIRECTORY, VERDICT = "zharness_evidence", "zharness_verdict"  # properties of a test in JUnit XML
SECTION = "zharness"
CONSOLE_SECTION = "zharness console"
TROUBLE = "zharness_error"  # marks the report of a test that ended with an error of the harness
CONSOLE_LINES = 40


class ItemEvidence:
    """Owns the evidence directory of one test; makes it at the first use.

    At the end, evidence of a test that passed or was interrupted is removed unless ``keep``.
    """

    def __init__(self, item: pytest.Item, *, keep: bool) -> None:
        self._item, self._worth_keeping = item, keep
        self._directory: Path | None = None
        self._lines: deque[str] = deque(maxlen=CONSOLE_LINES)
        self._when = "setup"
        item.stash[KEY] = self

    @property
    def directory(self) -> Path:
        """Raises HostError if it cannot be made, UsageError if there is no place for it."""
        if self._directory is None:
            self._directory = new_directory(_base(self._item.config), _name(self._item))
            self._item.user_properties.append((DIRECTORY, str(self._directory)))
        return self._directory

    def new_directory(self, name: str) -> Path:
        """Make an empty directory for one of several crashes or dumps."""
        return new_directory(self.directory, name)

    def console_line(self, machine: str, line: str) -> None:
        """Take one line that a guest printed; called from other threads."""
        self._lines.append(f"{machine:5} | {printable(line, keep=TAB)}")

    def concluded(self, verdict: str, text: str | None) -> None:
        """Put a verdict, and its explanation if any, into the test's report."""
        self._item.user_properties.append((VERDICT, verdict))
        if text is not None:
            self._item.add_report_section(self._when, SECTION, text)

    def keep(self) -> None:
        """Keep the evidence, whatever the outcome."""
        self._worth_keeping = True

    def reported(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Record the outcome of one phase; if the harness failed, report an error instead."""
        self._when = "call"
        if call.excinfo is not None and isinstance(error := call.excinfo.value, HarnessError):
            place = _place(self._item, call.excinfo)
            self._say_trouble(report, error, place)
        expected_to_fail = report.skipped and hasattr(report, "wasxfail")
        if not (report.failed or expected_to_fail):
            return
        self.keep()
        if self._lines:
            report.sections.append((CONSOLE_SECTION, "\n".join(self._lines)))
            self._lines.clear()

    def settle(self) -> None:
        """At the end of the test: remove evidence that is not kept."""
        if self._directory is None or self._worth_keeping:
            return
        shutil.rmtree(self._directory, ignore_errors=True)
        self._item.add_report_section("teardown", SECTION, words.REMOVED)
        self._forget(self._item.user_properties)

    def _say_trouble(
        self, report: pytest.TestReport, error: HarnessError, place: str | None
    ) -> None:
        vars(report)[TROUBLE] = True
        if self._directory is not None and not self._directory.exists():
            # a request that is not valid removes its own evidence
            self._forget(self._item.user_properties, report.user_properties)
        for properties in (self._item.user_properties, report.user_properties):
            if (VERDICT, "ERROR") not in properties:
                properties.append((VERDICT, "ERROR"))
        if report.skipped and not _expected(self._item):
            # xfail expects a wrong dump, not a missing dump
            report.outcome = "failed"
            vars(report).pop("wasxfail", None)
        if not self._item.config.getoption("fulltrace"):
            report.longrepr = words.trouble(error, place, self._directory)

    def _forget(self, *properties: list[tuple[str, object]]) -> None:
        """Remove the directory from the test's properties, because it was deleted."""
        for each in properties:
            each.remove((DIRECTORY, str(self._directory)))
        self._directory = None


KEY = pytest.StashKey[ItemEvidence]()


def new_directory(base: Path, name: str) -> Path:
    """Make an empty directory below ``base``; its name is ``name``, made safe, or begins with it.

    No other caller gets the same directory, in other processes neither. Raises HostError.
    """
    (stem,) = directory_names([name])
    try:
        base.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = base / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise HostError(f"cannot write evidence to {base}: {error.strerror}") from error
    raise AssertionError("numbers do not end")


def _base(config: pytest.Config) -> Path:
    """The directory for all tests: pytest's temporary one; with pytest-xdist the worker's."""
    chosen: Path | None = config.getoption("zharness_evidence")
    if chosen is not None:
        return config.invocation_params.dir / chosen
    # a scenario is no Python test and gets no fixtures; pytest keeps this here for plugins
    factory: pytest.TempPathFactory | None = getattr(config, "_tmp_path_factory", None)
    if factory is None:
        raise UsageError(
            "pytest has no temporary directory for evidence", hint="name one: --zharness-evidence"
        )
    return factory.getbasetemp() / "zharness"


def _name(item: pytest.Item) -> str:
    file, *parts = item.nodeid.split("::")
    return "-".join([Path(file).name, *parts])


def _place(item: pytest.Item, error: pytest.ExceptionInfo[BaseException]) -> str | None:
    """File and line of the test that led to an exception; None if no line of the test did."""
    lines = [entry.lineno + 1 for entry in error.traceback if Path(entry.path) == item.path]
    return f"{item.nodeid.partition('::')[0]}:{lines[-1]}" if lines else None


def _expected(item: pytest.Item) -> bool:
    """Whether an xfail mark names the exceptions that it expects."""
    return any(mark.kwargs.get("raises") for mark in item.iter_markers("xfail"))
