"""Works side by side: all of them, or the first error and the end of all programs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from harness.host import together as subject
from harness.host.together import Ended, together
from harness.images.command import Tools

LONG = ["sleep", "60"]
SECONDS = 30


class Interrupt(KeyboardInterrupt):
    """As a signal raises it in the main thread."""


class Work:
    """Runs a program that takes long; knows whether it was ended."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.tools, self.ended = Tools(directory / "log", "a thing"), False

    def __call__(self) -> None:
        try:
            self.tools.run(LONG)
        except Ended:
            self.ended = True
            raise


def started(log: Path) -> None:
    """Wait until a tool has begun."""
    limit = time.monotonic() + SECONDS
    while not log.is_file() or "$" not in log.read_text():
        assert time.monotonic() < limit
        threading.Event().wait(0.01)


def test_all_are_done_at_the_same_time():
    meeting, met = threading.Barrier(3, timeout=SECONDS), []
    together([lambda: met.append(meeting.wait()) for _ in range(3)])
    assert sorted(met) == [0, 1, 2]


def test_a_single_one_is_done_here():
    where = []
    together([lambda: where.append(threading.current_thread())])
    assert where == [threading.current_thread()]
    together([])


def test_the_first_error_ends_the_programs_of_the_others(tmp_path: Path):
    work = Work(tmp_path)

    def fail() -> None:
        started(work.tools.log)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        together([work, fail])
    assert work.ended


def test_a_program_that_begins_afterwards_is_ended_too(tmp_path: Path):
    work, first = Work(tmp_path), threading.Event()

    def late() -> None:
        group = subject._of_this_thread.group
        first.set()
        limit = time.monotonic() + SECONDS
        while not group._ended:
            assert time.monotonic() < limit
            time.sleep(0.001)
        work()

    def fail() -> None:
        first.wait(SECONDS)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        together([late, fail])
    assert work.ended


def test_an_interrupt_ends_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    works = [Work(tmp_path / name) for name in ("one", "two")]

    def interrupted(group: object) -> None:
        for work in works:
            started(work.tools.log)
        raise Interrupt

    monkeypatch.setattr(subject._Group, "wait_for_one", interrupted)
    with pytest.raises(Interrupt):
        together(works)
    assert all(work.ended for work in works)


def test_what_waits_for_something_else_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subject, "LEAVE_SECONDS", 0.01)
    never, ended = threading.Event(), []

    def wait() -> None:
        never.wait(SECONDS)
        ended.append(True)

    with pytest.raises(ZeroDivisionError):
        together([wait, wait, lambda: 1 / 0])
    assert ended == []
    never.set()
