"""Scenario files for pytest: a file has one test for each concrete scenario."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError
from harness.testing import report
from harness.testing.evidence import ItemEvidence
from harness.testing.settings import Settings

if TYPE_CHECKING:
    from harness.scenario.load import Concrete

SUFFIX = ".toml"
DIRECTORY = "scenarios"


class WrongDump(Exception):
    """A verdict of FAIL; its text is the test's report."""


class ScenarioFile(pytest.File):
    """One scenario, or a matrix of them."""

    def collect(self) -> Iterator[ScenarioItem]:
        """Raises CollectError whose one line names file, line and field."""
        from harness.scenario.load import load_all

        try:
            found = load_all(str(self.path))
        except HarnessError as error:
            raise self.CollectError(report.trouble(error, None, None)) from error
        for concrete in found:
            yield ScenarioItem.from_parent(self, name=concrete.name, concrete=concrete)


class ScenarioItem(pytest.Item):
    """One concrete scenario. Faults of the harness occur in its setup, so pytest reports them as
    errors. A wrong dump makes the test itself fail.
    """

    def __init__(self, *, concrete: Concrete, **parent: Any) -> None:
        super().__init__(**parent)
        self.add_marker("zharness")  # so that -m finds it
        self._concrete = concrete
        self._evidence: ItemEvidence | None = None
        self._wrong: WrongDump | None = None

    def setup(self) -> None:
        """Crash, dump and verify. Raises HarnessError."""
        from harness.progress import NoProgress
        from harness.report.verdict import Result
        from harness.run import engine
        from harness.run.plan import plan_of

        settings = Settings.of(self.config)
        self._evidence = evidence = ItemEvidence(self, keep=settings.keep)
        verdict = engine.run(
            plan_of(self._concrete.name, self._concrete.scenario),
            output=evidence.directory,
            store=settings.open_store(),
            progress=NoProgress(),
            keep=settings.keep,
            fresh=settings.fresh,
            on_line=evidence.console_line,
        )
        again = report.command("replay", evidence.directory, store=settings.other_store)
        text = report.verdict(verdict, again)
        self._wrong = WrongDump(text) if verdict.result is Result.FAIL else None
        evidence.concluded(str(verdict.result), None if self._wrong else text)
        if verdict.result is Result.ERROR:
            raise report.trouble_of(verdict)

    def runtest(self) -> None:
        """Raises WrongDump if the verdict is not the one that the scenario expects."""
        if self._wrong is not None:
            raise self._wrong

    def teardown(self) -> None:
        if self._evidence is not None:
            self._evidence.settle()

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **keywords: Any
    ) -> Any:
        """The report of a wrong dump, without a traceback."""
        if isinstance(excinfo.value, WrongDump):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **keywords)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, None, self.name


def is_scenario(path: Path, root: Path, *, named: bool) -> bool:
    """Whether pytest must collect ``path`` as a scenario; other TOML files are ignored.

    ``named``: the path is on the command line. ``root`` is pytest's root directory.
    """
    if path.suffix != SUFFIX:
        return False
    # ignore names above pytest's root directory
    below = path.relative_to(root.parent) if path.is_relative_to(root) else path
    return named or DIRECTORY in below.parent.parts
