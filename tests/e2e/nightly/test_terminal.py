"""Longer runs on a real terminal: a batch of many runs, and Ctrl-C in each phase."""

from __future__ import annotations

import pytest

from harness.run.phases import PHASES as LIMITS
from tests.support.command_line.left_behind import END_SECONDS, PHASES, qemus_of, wait_until
from tests.support.command_line.terminal import on_terminal

pytestmark = pytest.mark.e2e


def test_a_batch_of_many_ends_with_its_numbers(images, tmp_path):
    arguments = ("run", "lkdtm*", "-j", 2, "--output", tmp_path / "out")
    with on_terminal(*arguments, seconds=3600) as shown:
        shown.wait("running")
        assert shown.end() == 0
    assert " passed, 0 failed, 0 errors in " in shown.screen.lines[-1]
    assert shown.screen.cursor_is_on


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_in_each_phase(images, tmp_path, phase, columns):
    evidence = tmp_path / "out"
    arguments = ("run", "panic", "--fresh", "--output", evidence)
    with on_terminal(*arguments, columns=columns, evidence=evidence) as shown:
        shown.wait(LIMITS[phase].what)
        shown.interrupt()
        assert shown.end() == 130
    assert shown.screen.lines[-1] == "zharness: interrupted"
    assert shown.screen.cursor_is_on
    assert not (evidence / "disk.img").exists()
    wait_until(lambda: not qemus_of(evidence), END_SECONDS, "all QEMUs end")
