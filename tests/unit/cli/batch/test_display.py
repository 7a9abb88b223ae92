"""How a batch is shown: counts, estimates, lines, and a table that fits any terminal."""

from __future__ import annotations

import io
import signal
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from harness.cli.batch.display import (
    LINE_SECONDS,
    LineDisplay,
    LiveDisplay,
    QuietDisplay,
    Tally,
    display_for,
)
from harness.cli.show.verdict import show_report, totals
from harness.report.verdict import Result
from harness.run.batch.items import Item
from harness.run.batch.job import RunJob
from harness.run.batch.messages import AtTask, ConsoleLine
from harness.run.batch.schedule import Tokens
from harness.run.plan import Plan
from harness.scenario.model import Scenario
from tests.support.runs.reports import broken, failed, passed, report, run, verdict


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def item(name: str) -> Item:
    job = RunJob(Plan(name, Scenario(description="x")), Path("out"), Path("store"))
    return Item(name, Path("x.toml"), job, Tokens(1, 1), "replay", "again")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_remaining_time_is_estimated_from_finished_runs_and_slots():
    tally = Tally(6, slots=2)
    assert tally.seconds_left(0.0) is None
    for number in range(3):
        tally.started(number, "x", 0.0)
    tally.ended(0, run("a", passed("a").verdict, seconds=8.0))
    tally.ended(1, run("b", failed("b").verdict, seconds=12.0))
    assert tally.seconds_left(4.0) == (3 * 10 + 6) / 2
    assert tally.line(4.0) == "1 passed, 1 failed, 0 errors, 1 running, 3 waiting, about 18 s left"


def test_more_slots_than_runs_do_not_reduce_the_remaining_time():
    tally = Tally(2, slots=8)
    tally.started(0, "x", 0.0)
    tally.started(1, "x", 0.0)
    tally.ended(0, run("a", passed("a").verdict, seconds=10.0))
    assert tally.seconds_left(1.0) == 9.0


def test_an_overdue_batch_has_no_estimate():
    tally = Tally(2, slots=2)
    tally.started(0, "x", 0.0)
    tally.started(1, "x", 0.0)
    tally.ended(0, passed("a"))
    assert "left" not in tally.line(100.0)


def test_runs_that_never_started_are_not_shown_as_waiting():
    tally = Tally(3, slots=1)
    tally.started(0, "x", 0.0)
    tally.ended(1, run("b"))
    tally.ended(2, run("c"))
    assert tally.line(1.0) == "0 passed, 0 failed, 0 errors, 2 skipped, 1 running, 0 waiting"


def test_lines_tell_of_each_start_and_end(capsys, clock):
    display = LineDisplay(Tally(2, 2), clock)
    display.started(0, item("a"))
    clock.now += 2.5
    display.ended(0, failed("a", "page 0x1000 differs"))
    display.ended(1, run("never"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "[    0.0] a: started",
        "[    2.5] a: FAIL in phase verify after 2.5 s: page 0x1000 differs",
    ]


def test_a_line_is_printed_at_regular_intervals(capsys, clock):
    display = LineDisplay(Tally(3, 2), clock)
    display.started(0, item("a"))
    display.started(1, item("b"))
    display.at(0, AtTask("compile", "3 of 10 objects"))
    capsys.readouterr()
    clock.now += LINE_SECONDS - 1
    display.tick()
    assert capsys.readouterr().err == ""
    clock.now += 1
    display.tick()
    assert capsys.readouterr().err.splitlines() == [
        "[   30.0] 0 passed, 0 failed, 0 errors, 2 running, 1 waiting; "
        "a: compile 3 of 10 objects (30 s); b: start (30 s)"
    ]
    display.tick()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", [QuietDisplay, LineDisplay])
def test_console_lines_begin_with_the_scenarios_name(capsys, kind):
    display = kind(Tally(1, 1))
    display.started(0, item("panic[smp=2]"))
    display.console(0, ConsoleLine("dump", "Linux version"))
    assert capsys.readouterr().err.splitlines()[-1] == "panic[smp=2] dump  | Linux version"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_table_has_a_line_for_each_run_and_shows_the_seconds(width, clock):
    out = io.StringIO()
    live = Live(console=Console(file=io.StringIO()), auto_refresh=False)
    display = LiveDisplay(Tally(3, 2), live, clock)
    display.started(0, item("[bold]a-rather-long-name[smp=2,hsa_size=32M]"))
    display.at(0, AtTask("dump system writes the dump [/]", ""))
    display.started(1, item("b"))
    clock.now += 12
    Console(file=out, width=width).print(display.picture())
    first, a, b, *rest = out.getvalue().splitlines()
    assert first.startswith("0 passed")
    assert a.startswith("[bo")
    assert b.startswith("b ")
    assert a.rstrip().endswith("12 s")
    assert b.rstrip().endswith("12 s")
    assert not any(map(str.strip, rest))
    assert width < 200 or "0 passed, 0 failed, 0 errors, 2 running, 1 waiting" in first


def test_each_finished_run_is_one_line_above_the_table(clock):
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=True, color_system=None)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        display = LiveDisplay(Tally(2, 2), live, clock)
        display.started(0, item("a"))
        display.started(1, item("b"))
        display.tick()
        display.ended(0, failed("a", "page 0x1000 differs from the crashed memory"))
        display.tick()
    shown = out.getvalue()
    assert "a: FAIL in phase verify after 2.5 s: pa…" in shown
    assert shown.index("a: FAIL") < shown.rindex("0 passed, 1 failed")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"json": True, "verbose": False}, QuietDisplay),
        ({"json": True, "verbose": True}, QuietDisplay),
        ({"json": False, "verbose": False}, LineDisplay),
        ({"json": False, "verbose": True}, LineDisplay),
    ],
)
def test_without_a_terminal_lines_are_printed(options, kind):
    with display_for(1, 1, **options) as display:
        assert type(display) is kind


def test_a_terminal_gets_the_table(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with display_for(1, 1, json=False, verbose=False) as display:
        assert type(display) is LiveDisplay
    with display_for(1, 1, json=False, verbose=True) as display:
        assert type(display) is LineDisplay


def test_the_report_names_what_failed_and_how_to_run_it_again(capsys):
    many = [f"page {number} differs" for number in range(8)]
    show_report(
        report(passed("a"), failed("b[x=1]", *many), broken("c", "no space", hint="free some"))
    )
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "a: PASS after 2.5 s",
        "b[x=1]: FAIL in phase verify after 2.5 s: page 0 differs",
        "c: ERROR in phase snapshot after 2.5 s: no space",
        "",
        "FAIL b[x=1] in phase verify",
        *(f"  page {number} differs" for number in range(5)),
        "  and 3 more, in verdict.json",
        "  evidence: /runs/batch/b[x=1]",
        "  replay: zharness replay /runs/batch/b[x=1]",
        "",
        "ERROR c in phase snapshot",
        "  no space",
        "  hint: free some",
        "  evidence: /runs/batch/c",
        "  replay: zharness replay /runs/batch/c",
        "",
        "1 passed, 1 failed, 1 error in 60.0 s (3 runs a minute)",
    ]


def test_after_an_interrupt_only_what_had_finished_is_listed(capsys):
    show_report(report(passed("a"), run("b"), run("c"), interrupted=signal.SIGINT), stderr=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "a: PASS after 2.5 s",
        "",
        "1 passed, 0 failed, 0 errors, 2 skipped in 60.0 s (1 runs a minute)",
    ]


def test_those_skipped_after_a_failure_are_listed(capsys):
    show_report(report(failed("a"), run("b", skipped="not run: another run failed before")))
    assert "b: SKIPPED: not run: another run failed before" in capsys.readouterr().out


def test_an_expected_wrong_dump_is_reported_as_expected(capsys):
    show_report(report(run("a", verdict(Result.PASS, "too small", expected_wrong=True))))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["a: PASS (a wrong dump was expected) after 2.5 s", ""]


def test_totals_of_an_empty_batch():
    assert totals(report(seconds=0.0)) == "0 passed, 0 failed, 0 errors in 0.0 s (0 runs a minute)"
