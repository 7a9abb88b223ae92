"""Real runs on a real terminal: what a person types and sees."""

from __future__ import annotations

import pytest

from tests.support.command_line.left_behind import END_SECONDS, qemus_of, wait_until
from tests.support.command_line.terminal import on_terminal

pytestmark = pytest.mark.e2e


def test_a_run_ends_with_its_verdict(images, tmp_path):
    with on_terminal("run", "quick", "--output", tmp_path / "out") as shown:
        shown.wait("dump system writes the dump")
        assert shown.end() == 0
    assert any(line.startswith("PASS after ") for line in shown.screen.lines)
    assert all(len(line) <= 80 for line in shown.screen.lines)
    assert shown.screen.cursor_is_on


def test_images_that_are_there_and_a_crash_that_is_kept(images):
    with on_terminal("images", "build", columns=120) as shown:
        assert shown.end() == 0
    assert shown.screen.cursor_is_on
    with on_terminal("snapshot", "create", "quick") as shown:
        assert shown.end() == 0
    assert shown.screen.lines[-1].startswith("zharness dump ")
    assert shown.screen.cursor_is_on


def test_ctrl_c_while_the_dump_is_written(images, tmp_path):
    evidence = tmp_path / "out"
    with on_terminal("run", "quick", "--output", evidence, evidence=evidence) as shown:
        shown.wait("dump system writes the dump")
        shown.interrupt()
        assert shown.end() == 130
    assert shown.screen.lines[-1] == "zharness: interrupted"
    assert shown.screen.cursor_is_on
    assert not (evidence / "disk.img").exists()
    wait_until(lambda: not qemus_of(evidence), END_SECONDS, "all QEMUs end")


def test_a_small_batch_ends_with_its_numbers(images, tmp_path):
    arguments = ("run", "quick", "--repeat", 2, "-j", 2, "--output", tmp_path / "out")
    with on_terminal(*arguments, columns=120) as shown:
        shown.wait("running")
        assert shown.end() == 0
    assert shown.screen.lines[-1].startswith("2 passed, 0 failed, 0 errors in ")
    assert shown.screen.cursor_is_on
