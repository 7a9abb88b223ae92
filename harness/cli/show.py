"""Verdicts and tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.report.runs import REFUSED, SKIPPED, Report, ReportedRun
from harness.report.verdict import Result, Verdict

_COLOURS = {
    Result.PASS: "green",
    Result.FAIL: "red",
    Result.ERROR: "yellow",
    REFUSED: "yellow",
    SKIPPED: "dim",
}
MAX_FINDINGS = 20
UNLIMITED = 1 << 16  # columns of what is no terminal
MAX_SUMMARY_FINDINGS = 5  # of each run, where there are many


def show_verdict(verdict: Verdict) -> None:
    """The checks, what they found, and what to do next."""
    console = _console()
    for check in verdict.checks:
        _show_check(console, check, "verdict.json")
    colour = _COLOURS[verdict.result]
    seconds = sum(verdict.timings.values())
    console.print(f"[bold {colour}]{verdict.result}[/]{_note(verdict)} after {seconds:.1f} s")
    if verdict.error:
        console.print(escape(verdict.error))
    if verdict.hint:
        console.print(f"hint: {escape(verdict.hint)}")
    console.print(f"evidence: {escape(str(verdict.directory))}")
    if verdict.checks:
        console.print(f"judge again: zharness verify {escape(str(verdict.directory))}")


def show_checks(checks: Iterable[Mapping[str, Any]]) -> None:
    """Checks outside of a run, with what they found and what they looked at."""
    console = _console()
    for check in checks:
        _show_check(console, check, "--json")
        for note in check["notes"]:
            console.print(f"       {escape(note)}")


def show_report(report: Report, *, stderr: bool = False) -> None:
    """A line for each run, then each that is not PASS: what is wrong, and how to run it again.

    After an interrupt, only what had finished has a line.
    """
    console = _console(stderr=stderr)
    for run in report.runs:
        if run.result == SKIPPED and report.interrupted:
            continue
        console.print(escape(one_line(run)), style=_COLOURS[run.result])
    for run in report.runs:
        if run.is_bad:
            _show_bad(console, run)
    console.print()
    console.print(totals(report))


def one_line(run: ReportedRun) -> str:
    """A run's name, result, duration, and the first thing that is wrong."""
    if run.verdict is None:
        return f"{run.name}: {run.result}: {run.headline}"
    what = f": {run.headline}" if run.headline else ""
    return f"{run.name}: {run.result}{_note(run.verdict)} after {run.seconds:.1f} s{what}"


def totals(report: Report) -> str:
    """How many of each result, in which time."""
    rate = f"{report.runs_per_minute:g} runs a minute"
    return f"{tally(report.counts)} in {report.seconds:.1f} s ({rate})"


def tally(counts: Mapping[str, int]) -> str:
    """How many of each result; of those refused or skipped only if there are any."""
    errors = counts[Result.ERROR]
    parts = [
        f"{counts[Result.PASS]} passed",
        f"{counts[Result.FAIL]} failed",
        f"{errors} error{'s' * (errors != 1)}",
    ]
    if counts[REFUSED]:
        parts.append(f"{counts[REFUSED]} refused")
    if counts[SKIPPED]:
        parts.append(f"{counts[SKIPPED]} skipped")
    return ", ".join(parts)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under titles, on standard output."""
    # names are for copying: they are never cut or broken
    grid = Table(Column(titles[0], no_wrap=True), *titles[1:], box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    console = _console()
    if not console.is_terminal:
        console.width = UNLIMITED
    console.print(grid)


def _note(verdict: Verdict) -> str:
    """What qualifies the result."""
    expected = " (a wrong dump was expected)" if verdict.expected_wrong else ""
    return expected + (f" in phase {verdict.phase}" if verdict.phase else "")


def _console(*, stderr: bool = False) -> Console:
    return Console(highlight=False, soft_wrap=True, stderr=stderr)


def _show_bad(console: Console, run: ReportedRun) -> None:
    where = f" in phase {run.verdict.phase}" if run.verdict and run.verdict.phase else ""
    console.print()
    console.print(f"[bold {_COLOURS[run.result]}]{run.result}[/] {escape(run.name)}{where}")
    for line in (run.error or "").splitlines():
        console.print(f"  {escape(line)}")
    if run.hint:
        console.print(f"  hint: {escape(run.hint)}")
    if run.verdict:
        _show_findings(console, run.verdict.findings, MAX_SUMMARY_FINDINGS, "  ", "verdict.json")
    if run.directory:
        console.print(f"  evidence: {escape(str(run.directory))}")
    console.print(f"  replay: {escape(run.replay)}")


def _show_check(console: Console, check: Mapping[str, Any], rest: str) -> None:
    """``rest`` is where to find what is too much to show."""
    mark = "[green]ok  [/]" if check["passed"] else "[red]FAIL[/]"
    what = f"{check['compared']} {check['unit']}"
    if check["skipped"]:
        mark, what = "[dim]skip[/]", check["skipped"]
    console.print(f"{mark} {check['check']}: {escape(what)}")
    for difference in check["allowed"]:
        console.print(
            f"       allowed: {escape(difference['where'])}: {escape(difference['reason'])}"
        )
    _show_findings(console, check["findings"], MAX_FINDINGS, "       ", rest)


def _show_findings(
    console: Console, findings: Sequence[Mapping[str, Any]], limit: int, indent: str, rest: str
) -> None:
    for finding in findings[:limit]:
        console.print(f"{indent}[red]{escape(finding['message'])}[/]")
    if len(findings) > limit:
        console.print(f"{indent}and {len(findings) - limit} more, in {rest}")
