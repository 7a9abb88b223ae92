"""Verdicts and tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.report.verdict import Result, Verdict

_COLOURS = {Result.PASS: "green", Result.FAIL: "red", Result.ERROR: "yellow"}
MAX_FINDINGS = 20


def show_verdict(verdict: Verdict) -> None:
    """The checks, what they found, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    for check in verdict.checks:
        _show_check(console, check)
    colour = _COLOURS[verdict.result]
    where = f" in phase {verdict.phase}" if verdict.phase else ""
    seconds = sum(verdict.timings.values())
    note = " (a wrong dump was expected)" if verdict.expected_wrong else ""
    console.print(f"[bold {colour}]{verdict.result}[/]{note}{where} after {seconds:.1f} s")
    if verdict.error:
        console.print(escape(verdict.error))
    if verdict.hint:
        console.print(f"hint: {escape(verdict.hint)}")
    console.print(f"evidence: {escape(str(verdict.directory))}")
    if verdict.checks:
        console.print(f"judge again: zharness verify {escape(str(verdict.directory))}")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under titles, on standard output."""
    # names are for copying: they are never cut or broken
    grid = Table(Column(titles[0], no_wrap=True), *titles[1:], box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    Console(highlight=False, soft_wrap=True).print(grid)


def _show_check(console: Console, check: Mapping[str, Any]) -> None:
    mark = "[green]ok  [/]" if check["passed"] else "[red]FAIL[/]"
    what = f"{check['compared']} {check['unit']}"
    if check["skipped"]:
        mark, what = "[dim]skip[/]", check["skipped"]
    console.print(f"{mark} {check['check']}: {escape(what)}")
    for difference in check["allowed"]:
        console.print(
            f"       allowed: {escape(difference['where'])}: {escape(difference['reason'])}"
        )
    findings = check["findings"]
    for finding in findings[:MAX_FINDINGS]:
        console.print(f"       [red]{escape(finding['message'])}[/]")
    if len(findings) > MAX_FINDINGS:
        console.print(f"       and {len(findings) - MAX_FINDINGS} more, in verdict.json")
