"""Verdicts and tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from harness.cli.complaint import indented
from harness.cli.say import SafeConsole, plain
from harness.evidence.names import VERDICT
from harness.report.runs import REFUSED, SKIPPED, Report, ReportedRun
from harness.report.verdict import Result, Verdict
from harness.verify.findings import CheckResult, Finding

_COLOURS = {
    Result.PASS: "green",
    Result.FAIL: "red",
    Result.ERROR: "yellow",
    Result.INTERRUPTED: "dim",
    REFUSED: "yellow",
    SKIPPED: "dim",
}
MAX_FINDINGS = 20
_INDENT = " " * 7  # of what is said of a check, below its name
UNLIMITED = 1 << 16  # columns of what is no terminal
MAX_SUMMARY_FINDINGS = 5  # of each run, where there are many


def show_verdict(verdict: Verdict) -> None:
    """Print the checks, their findings, and what to do next."""
    console = _console()
    for check in verdict.checks:
        _show_check(console, check, VERDICT)
    seconds = sum(verdict.timings.values())
    console.print(
        Text.assemble(
            plain(verdict.result, f"bold {_COLOURS[verdict.result]}"),
            plain(f"{_note(verdict)} after {seconds:.1f} s"),
        )
    )
    if verdict.error:
        console.print(Text(indented(verdict.error)))
    if verdict.hint:
        console.print(Text(f"hint: {indented(verdict.hint)}"))
    console.print(plain(f"evidence: {verdict.directory}"))
    if verdict.checks:
        console.print(plain(f"verify again: zharness verify {verdict.directory}"))


def show_checks(checks: Iterable[CheckResult]) -> None:
    """Print checks outside of a run, with their findings and notes."""
    console = _console()
    for check in checks:
        _show_check(console, check, "--json")
        for note in check.notes:
            _show_prose(console, _INDENT, note)


def show_report(report: Report, *, stderr: bool = False) -> None:
    """Print a line for each run, then what is wrong with each that is not PASS, and its replay.

    After an interrupt, only the runs that had finished have a line.
    """
    console = _console(stderr=stderr)
    for run in report.runs:
        if run.result in (SKIPPED, Result.INTERRUPTED) and report.interrupted is not None:
            continue
        console.print(plain(one_line(run), _COLOURS[run.result]))
    for run in report.runs:
        if run.is_bad:
            _show_bad(console, run)
    console.print()
    _show_prose(console, "", totals(report))


def one_line(run: ReportedRun) -> str:
    """A run's name, result, duration, and the first thing that is wrong."""
    if run.verdict is None:
        return f"{run.name}: {run.result}: {run.headline}"
    what = f": {run.headline}" if run.headline else ""
    return f"{run.name}: {run.result}{_note(run.verdict)} after {run.seconds:.1f} s{what}"


def totals(report: Report) -> str:
    """How many runs have each result, and in which time."""
    rate = f"{report.runs_per_minute:g} runs a minute"
    kept = sum(run.kept for run in report.runs)
    before = f"; {kept} of them kept from the earlier batch" if kept else ""
    return f"{tally(report.counts)} in {report.seconds:.1f} s ({rate}){before}"


def summary(report: Report) -> str:
    """A line for each run, and the totals, as plain text."""
    return "".join(f"{line}\n" for line in (*map(one_line, report.runs), "", totals(report)))


def tally(counts: Mapping[str, int]) -> str:
    """How many runs have each result; refused and skipped runs are left out if there are none."""
    parts = [
        f"{counts[Result.PASS]} passed",
        f"{counts[Result.FAIL]} failed",
        counted(counts[Result.ERROR], "error"),
    ]
    if counts[REFUSED]:
        parts.append(f"{counts[REFUSED]} refused")
    if counts[Result.INTERRUPTED]:
        parts.append(f"{counts[Result.INTERRUPTED]} interrupted")
    if counts[SKIPPED]:
        parts.append(f"{counts[SKIPPED]} skipped")
    return ", ".join(parts)


def counted(number: int, what: str) -> str:
    """``1 piece``, ``2 pieces``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under titles to standard output."""
    # names are for copying: they are never cut or broken
    grid = Table(Column(titles[0], no_wrap=True), *titles[1:], box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*map(plain, row))
    console = _console()
    if not console.is_terminal:
        console.width = UNLIMITED
    console.print(grid)


def _note(verdict: Verdict) -> str:
    """An addition to the result: a wrong dump was expected, or the phase that failed."""
    expected = " (a wrong dump was expected)" if verdict.expected_wrong else ""
    return expected + (f" in phase {verdict.phase}" if verdict.phase else "")


def _console(*, stderr: bool = False) -> SafeConsole:
    return SafeConsole(stderr=stderr, soft_wrap=True)


def _show_prose(console: SafeConsole, indent: str, text: str, style: str = "") -> None:
    """Print on a terminal in lines that end between words; otherwise in one line, for programs."""
    if console.is_terminal:
        padded = Padding(plain(text, style), (0, 0, 0, len(indent)), expand=False)
        console.print(padded, soft_wrap=False)
    else:
        console.print(plain(f"{indent}{text}", style))


def _show_bad(console: SafeConsole, run: ReportedRun) -> None:
    where = f" in phase {run.verdict.phase}" if run.verdict and run.verdict.phase else ""
    console.print()
    result = plain(run.result, f"bold {_COLOURS[run.result]}")
    console.print(Text.assemble(result, plain(f" {run.name}{where}")))
    for line in (run.error or "").splitlines():
        console.print(plain(f"  {line}"))
    if run.hint:
        console.print(plain(f"  hint: {run.hint}"))
    if run.verdict:
        _show_findings(console, run.verdict.findings, MAX_SUMMARY_FINDINGS, "  ", VERDICT)
    if run.directory:
        console.print(plain(f"  evidence: {run.directory}"))
    console.print(plain(f"  replay: {run.replay}"))


def _show_check(console: SafeConsole, check: CheckResult, rest: str) -> None:
    """Print one check; ``rest`` is where to find what is too much to show."""
    mark = plain("ok  ", "green") if check.passed else plain("FAIL", "red")
    what = f"{check.compared} {check.unit}"
    if check.nonzero is not None:
        what += f", {check.nonzero} of them not zero"
    if check.skipped_reason:
        mark, what = plain("skip", "dim"), check.skipped_reason
    console.print(Text.assemble(mark, plain(f" {check.check}: {what}")))
    for difference in check.allowed:
        _show_prose(console, _INDENT, f"allowed: {difference.where}: {difference.reason}")
    _show_findings(console, check.findings, MAX_FINDINGS, _INDENT, rest)


def _show_findings(
    console: SafeConsole, findings: Sequence[Finding], limit: int, indent: str, rest: str
) -> None:
    for finding in findings[:limit]:
        _show_prose(console, indent, finding.message, "red")
    if len(findings) > limit:
        console.print(f"{indent}and {len(findings) - limit} more, in {rest}")
