"""The watch on a dump system's console, for every dump tool."""

from __future__ import annotations

import pytest

from harness.dump_tools.table import ZFCPDUMP
from harness.machine.dump_load.console_watch import ConsoleWatch
from tests.support.guests.other_tool import OTHER


def watch(tool, *lines: str) -> ConsoleWatch:
    console = ConsoleWatch(tool)
    for line in lines:
        console.line(line)
    return console


@pytest.mark.parametrize(
    ("tool", "line"), [(ZFCPDUMP, "zfcpdump result: ok 4 MB"), (OTHER, "Dump complete.")]
)
def test_each_tool_has_its_own_result_lines(tool, line):
    console = watch(tool, "booting", line)
    assert (console.result_line, console.succeeded) == (line, True)


@pytest.mark.parametrize(
    ("tool", "line"), [(OTHER, "zfcpdump result: ok 4 MB"), (ZFCPDUMP, "Dump complete.")]
)
def test_lines_of_another_tool_are_ignored(tool, line):
    console = watch(tool, line)
    assert (console.result_line, console.succeeded) == (None, False)


def test_the_last_result_line_counts():
    console = watch(OTHER, "Dump complete.", "Dump failed", "...")
    assert (console.result_line, console.succeeded) == ("Dump failed", False)


def test_every_line_is_passed_on_and_is_a_sign_of_life():
    heard: list[str] = []
    console = ConsoleWatch(OTHER, heard.append)
    console.last_line = before = -1.0
    console.line("booting")
    assert heard == ["booting"]
    assert console.last_line > before
