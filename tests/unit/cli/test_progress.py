"""Progress as bars on a terminal, and as lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.cli.show.progress import BarProgress


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def bars(screen: io.StringIO) -> BarProgress:
    return BarProgress(Console(file=screen, force_terminal=True, width=80))


def test_tasks_one_after_the_other(bars: BarProgress, screen: io.StringIO):
    for what in ("first", "second", "third"):
        with bars.task(what):
            pass
    assert all(what in screen.getvalue() for what in ("first", "second", "third"))


def test_a_task_within_a_task(bars: BarProgress, screen: io.StringIO):
    with bars.task("outer"):
        for what in ("inner", "next"):
            with bars.task(what, total=3, unit="files") as task:
                task.update(2)
    with bars.task("after"):
        pass
    assert all(what in screen.getvalue() for what in ("outer", "inner", "next", "after"))


def test_a_task_that_fails_ends_the_display(bars: BarProgress, screen: io.StringIO):
    def fail() -> None:
        with bars.task("outer"), bars.task("inner"):
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        fail()
    screen.truncate(0)
    with bars.task("after"):
        pass
    assert "after" in screen.getvalue()
    assert "outer" not in screen.getvalue()


def test_a_finished_task_is_complete(bars: BarProgress, screen: io.StringIO):
    with bars.task("copy", total=10, unit="MB") as task:
        task.update(4)
    assert "100%" not in screen.getvalue()
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is back


def test_a_finished_task_shows_one_time(bars: BarProgress, screen: io.StringIO):
    with bars.task("copy", total=10, unit="MB") as task:
        task.update(4)
    last = screen.getvalue().rpartition("copy")[2]
    assert last.count("0:00:00") == 1
    assert "left" not in last
