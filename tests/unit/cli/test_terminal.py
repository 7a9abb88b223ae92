"""What a person sees on a terminal, with a fake engine and fake workers, without QEMU."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.run.phases import PHASES
from tests.support import FAKE_ZHARNESS
from tests.support.command_line.fake_zharness import LONG_REASON
from tests.support.command_line.terminal import Screen, Terminal

WORDS = [limit.what for limit in PHASES.values()]
COMMAND = (sys.executable, str(FAKE_ZHARNESS))


def terminal(tmp_path: Path, *arguments: str, columns: int = 80, **environment: str) -> Terminal:
    root = Path(__file__).parents[3]
    return Terminal(
        (*COMMAND, *arguments),
        columns=columns,
        PYTHONPATH=str(root),
        ZHARNESS_STORE=str(tmp_path / "store"),
        **environment,
    )


def run_alone(tmp_path: Path, *, columns: int = 80, **environment: str) -> Terminal:
    arguments = ("run", "panic", "--output", str(tmp_path / "out"))
    return terminal(tmp_path, *arguments, columns=columns, **environment)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_run_shows_what_it_does_and_ends_with_its_verdict(tmp_path, columns):
    with run_alone(tmp_path, columns=columns) as shown:
        assert shown.end() == 0
    screen = shown.screen
    assert screen.cursor_is_on
    assert screen.colours
    assert "internal error" not in screen.text
    assert "PASS after 3.0 s" in screen.lines
    assert f"evidence: {tmp_path}/out" in screen.text.replace("\n", "")
    assert [line for line in screen.lines if "verify it bit for bit" in line] != []
    assert "[bold]" not in screen.text  # gone with the bar that had it


@pytest.mark.parametrize("columns", [80, 120])
def test_words_are_not_broken(tmp_path, columns):
    with run_alone(tmp_path, columns=columns) as shown:
        assert shown.end() == 0
    words = {word for line in shown.screen.lines for word in line.split()}
    assert set(LONG_REASON.split()) <= words
    assert all(len(line) <= columns for line in shown.screen.lines)


def test_every_phase_is_on_the_screen_while_it_runs(tmp_path):
    go_on = tmp_path / "next"
    os.mkfifo(go_on)
    with run_alone(tmp_path, NEXT=str(go_on)) as shown:
        for what in WORDS:
            shown.wait(what)
            go_on.write_text("x")
        assert shown.end() == 0


def test_without_colour(tmp_path):
    with run_alone(tmp_path, NO_COLOR="1") as shown:
        assert shown.end() == 0
    assert "PASS after 3.0 s" in shown.screen.lines
    assert shown.screen.cursor_is_on


def test_a_dumb_terminal_gets_plain_lines(tmp_path):
    with run_alone(tmp_path, TERM="dumb") as shown:
        assert shown.end() == 0
    assert shown.screen.controls == 0
    assert "PASS after 3.0 s" in shown.screen.lines
    assert all(any(what in line for line in shown.screen.lines) for what in WORDS)


def test_a_resize_during_a_run(tmp_path):
    go_on = tmp_path / "next"
    os.mkfifo(go_on)
    with run_alone(tmp_path, columns=120, NEXT=str(go_on)) as shown:
        for number, what in enumerate(WORDS):
            shown.wait(what)
            if number == 3:
                shown.resize(60)
            go_on.write_text("x")
        assert shown.end() == 0
    assert "PASS after 3.0 s" in shown.screen.lines
    assert shown.screen.cursor_is_on


@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupt_in_any_phase_is_one_line(tmp_path, phase):
    with run_alone(tmp_path, HANG_IN=phase) as shown:
        shown.wait(PHASES[phase].what)
        shown.interrupt()
        assert shown.end() == 130
    assert shown.screen.lines[-1] == "zharness: interrupted"
    assert shown.screen.text.count("interrupted") == 1
    assert shown.screen.cursor_is_on
    assert "Traceback" not in shown.screen.text
    assert not (tmp_path / "out/disk.img").exists()


def test_what_a_terminal_shows_of_ctrl_c_is_overwritten(tmp_path):
    with terminal(tmp_path, "run", "panic", "--verbose", HANG_IN="dump") as shown:
        shown.wait(PHASES["dump"].what)
        shown.interrupt()
        assert shown.end() == 130
    assert shown.screen.lines[-1] == "zharness: interrupted"


@pytest.mark.parametrize("phase", ["images", "dump", "judge"])
def test_an_error_in_a_phase_is_the_last_output(tmp_path, phase):
    with run_alone(tmp_path, FAIL_IN=phase) as shown:
        assert shown.end() == 3
    assert shown.screen.lines[-2:] == ["zharness: no space", "zharness: hint: make some"]
    assert shown.screen.cursor_is_on


def batch(tmp_path: Path, *names: str, **options) -> Terminal:
    files = [tmp_path / f"{name}.toml" for name in names]
    for file in files:
        file.write_text("description = 'x'\n[crashed]\nsmp = 1\nmemory = '128M'\n")
    arguments = ("run", *map(str, files), "-j", "2", "--output", str(tmp_path / "out"))
    return terminal(tmp_path, *arguments, **options)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_batch_shows_each_run_and_ends_with_the_numbers(tmp_path, columns):
    with batch(tmp_path, "passing", "failing", columns=columns) as shown:
        assert shown.end() == 1
    screen = shown.screen
    assert screen.cursor_is_on
    assert screen.lines[-1].startswith("1 passed, 1 failed, 0 errors in ")
    assert any(line.startswith("passing: PASS after") for line in screen.lines)
    assert "running" not in screen.text  # the table is gone


def test_a_batch_that_is_interrupted(tmp_path):
    with batch(tmp_path, "hanging", "hanging_silently") as shown:
        # the other one may have to wait for room
        shown.wait(lambda text: "running" in text and "boot it, in other words" in text)
        shown.interrupt()
        assert shown.end() == 130
    assert shown.screen.lines[-1] == "zharness: interrupted"
    assert "0 passed, 0 failed, 0 errors, " in shown.screen.text
    assert shown.screen.text.count("INTERRUPTED") >= 1
    assert shown.screen.cursor_is_on


def test_the_screen_of_these_tests_is_one():
    screen = Screen(5)
    screen.feed("abc\r\n1234567\x1b[?25l\r\nxx\x1b[1A\r\x1b[2Kn\x1b")
    screen.feed("[1mo")
    assert screen.lines == ["abc", "12345", "no", "xx"]
    assert (screen.cursor_is_on, screen.colours) == (False, 1)
    with pytest.raises(AssertionError, match="unknown control"):
        screen.feed("\x1b[3J")
