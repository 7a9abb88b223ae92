"""The pytest plugin ``zharness``: scenario files as tests, crashes and dumps as fixtures.

docs/pytest.md tells how to use it. Projects that do not use it load only this module, so it imports
the harness where it needs it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.testing.evidence import KEY, TROUBLE

if TYPE_CHECKING:
    from harness.evidence.snapshot import Snapshot
    from harness.testing.crashed_system import CrashedSystem
    from harness.testing.dump_run import Dump, DumpMachine
    from harness.testing.marked import MarkedTest
    from harness.testing.scenarios import ScenarioFile

MARK = (
    "zharness(scenario='panic', **fields): what crashes and how it is dumped, by the fields of a "
    "scenario, such as memory='1G' or dump={'kernel': ...}"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("zharness", "zfcpdump harness")
    what = "take TOML files below directories called 'scenarios', and those named, for scenarios"
    group.addoption("--zharness", action="store_true", help=what)
    group.addoption(
        "--zharness-store", type=Path, metavar="DIR", help="image store (default: as zharness)"
    )
    group.addoption(
        "--zharness-evidence",
        type=Path,
        metavar="DIR",
        help="evidence goes below it (default: pytest's temporary directory)",
    )
    group.addoption(
        "--zharness-keep",
        action="store_true",
        help="keep evidence of tests that pass, and the written disks",
    )
    group.addoption(
        "--zharness-fresh",
        action="store_true",
        help="crash anew for each test, even if the store has this very crash",
    )
    parser.addini("zharness", what, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    config = parent.config
    if file_path.suffix != ".toml" or not (
        config.getoption("zharness") or config.getini("zharness")
    ):
        return None
    from harness.testing.scenarios import ScenarioFile, is_scenario

    named = parent.session.isinitpath(file_path)
    if not is_scenario(file_path, config.rootpath, named=named):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if (evidence := item.stash.get(KEY, None)) is not None:
        evidence.reported(report, call)
    return report


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, str] | None:
    """A fault of the harness is always an error, never a failure of what is tested."""
    if report.failed and getattr(report, TROUBLE, False):
        return "error", "E", "ERROR"
    return None


@pytest.fixture
def _zharness(request: pytest.FixtureRequest) -> Iterator[MarkedTest]:
    from harness.testing.marked import MarkedTest

    with MarkedTest.of(request.node) as marked:
        yield marked


@pytest.fixture
def crashed_system(_zharness: MarkedTest) -> Iterator[CrashedSystem]:
    """The marked system, booted, with a shell; its crash() pulls the marked trigger."""
    with _zharness.system() as system:
        yield system


@pytest.fixture
def crash_snapshot(_zharness: MarkedTest) -> Snapshot:
    """The marked crash: memory, registers, console. It is made once, then taken from the store."""
    return _zharness.crash()


@pytest.fixture
def dump_machine(_zharness: MarkedTest) -> DumpMachine:
    """Its dump(snapshot) dumps a crash with the marked options."""
    return _zharness.dump_machine()


@pytest.fixture
def dump(dump_machine: DumpMachine, crash_snapshot: Snapshot) -> Dump:
    """The marked crash, dumped with the marked options, and verified."""
    return dump_machine.dump(crash_snapshot)
