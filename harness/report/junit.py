"""JUnit XML for CI systems: one test suite per request, one test case per scenario.

The form is Apache Ant's, as junitparser writes it: time in seconds, results as child elements.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness import __version__
from harness.errors import HostError
from harness.evidence.names import VERDICT
from harness.host.fault import unusable
from harness.printable import printable_lines
from harness.report.runs import SKIPPED, Report, ReportedRun
from harness.report.verdict import Result

SUITE = "zfcpdump"
MAX_FINDINGS = 20


def check_writable(path: Path) -> None:
    """Raises UsageError before the runs, not after an hour of runs. Changes nothing."""
    try:
        there = path.exists()
        if there and not path.is_file() and not path.is_dir():
            return  # a pipe would wait for its reader
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        hint = "name a file in a directory that exists"
        raise unusable(f"{path} cannot be written", error, hint=hint) from error


def write(report: Report, path: Path) -> None:
    """Replace the file, or write to it directly if it is a pipe or device; raises HostError."""
    try:
        if is_replaceable(path):
            new = path.with_name(f"{path.name}.new")
            document(report).write(str(new), pretty=True)
            new.replace(path)
        else:
            document(report).write(str(path), pretty=True)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error


def is_replaceable(path: Path) -> bool:
    """Whether it is, or will be, a regular file: no link, pipe or device."""
    return not path.is_symlink() and (path.is_file() or not path.exists())


def document(report: Report) -> JUnitXml:
    """The whole report as one suite; its properties are the versions of the runs' inputs."""
    suite = TestSuite(SUITE)
    for name, value in sorted(_versions(report).items()):
        suite.add_property(_xml(name), _xml(value))
    verdicts = [run.verdict for run in report.runs if run.verdict is not None]
    if began := min((each.started for each in verdicts if each.started), default=None):
        suite.timestamp = _xml(began)
    if hosts := {each.host for each in verdicts if each.host}:
        suite.hostname = _xml(", ".join(sorted(hosts)))
    suite.add_testcases([_case(run) for run in report.runs])
    whole = JUnitXml(SUITE)
    whole.add_testsuite(suite)
    return whole


def _case(run: ReportedRun) -> TestCase:
    case = TestCase(_xml(run.name), _xml(str(run.file)), round(run.seconds, 3))
    if run.result in (SKIPPED, Result.INTERRUPTED):
        case.result = [Skipped(_xml(run.headline or "not run"))]
        return case
    if run.is_bad:
        kind = Failure if run.result == Result.FAIL else Error
        phase = run.verdict.phase if run.verdict else "usage"
        result = kind(_xml(run.headline), _xml(phase or "run"))
        result.text = _xml("\n".join(_details(run)))
        case.result = [result]
    if run.directory is not None:
        timings = run.verdict.timings if run.verdict else {}
        phases = "".join(f"\n{phase}: {seconds:.3f} s" for phase, seconds in timings.items())
        case.system_out = _xml(f"evidence: {run.directory}{phases}")
    return case


def _details(run: ReportedRun) -> Iterator[str]:
    if run.error:
        yield run.error
    if run.hint:
        yield f"hint: {run.hint}"
    findings = run.verdict.findings if run.verdict else ()
    yield from map(str, findings[:MAX_FINDINGS])
    if len(findings) > MAX_FINDINGS:
        yield f"and {len(findings) - MAX_FINDINGS} more, in {VERDICT}"
    if run.directory is not None:
        yield f"evidence: {run.directory}"
    yield f"replay: {run.replay}"


def _versions(report: Report) -> dict[str, str]:
    """Every input of every run; if runs differ, all values."""
    found: dict[str, set[str]] = {"harness": {__version__}, "Python": {platform.python_version()}}
    for run in report.runs:
        for name, value in _flat(run.verdict.inputs if run.verdict else {}):
            found.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _flat(inputs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", str(value)


def _xml(text: str) -> str:
    """XML 1.0 cannot hold most control characters, not even escaped (section 2.2, Char).

    A parser would make a line feed of a return (2.11), and people read these files in terminals.
    """
    return printable_lines(text)
