"""A clock that stands still with its process, and the deadlines on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.clock import GAP_SECONDS, TICK_SECONDS, RunningClock
from harness.deadline import Deadline

WAITING = """
import threading, time
from harness.deadline import Deadline
deadline, start = Deadline(1.0), time.monotonic()
print("waiting", flush=True)
deadline.wait(threading.Event().wait)
print(time.monotonic() - start, flush=True)
"""


class Host:
    """Its time is set from outside."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def host() -> Host:
    return Host()


def test_it_goes_on_while_it_is_looked_at(host: Host):
    clock = RunningClock(host)
    for _ in range(100):
        host.now += GAP_SECONDS
        clock.now()
    assert clock.now() == 1000 + 100 * GAP_SECONDS


@pytest.mark.parametrize("gap", [GAP_SECONDS + 0.1, 66.0, 1e6])
def test_a_gap_does_not_count(host: Host, gap: float):
    clock = RunningClock(host)
    host.now += 1.0
    before = clock.now()
    host.now += gap
    assert clock.now() == pytest.approx(before + TICK_SECONDS)
    host.now += 1.0
    assert clock.now() == pytest.approx(before + TICK_SECONDS + 1.0)


def test_it_never_goes_back(host: Host):
    clock = RunningClock(host)
    last = clock.now()
    for step in (0.0, 0.5, GAP_SECONDS, 70.0, 0.1, GAP_SECONDS + 0.01):
        host.now += step
        former, last = last, clock.now()
        assert last >= former


def test_a_deadline_waits_until_it_has_passed(monkeypatch: pytest.MonkeyPatch):
    moment = [0.0]
    monkeypatch.setattr("harness.clock.now", lambda: moment[0])
    asked = []

    def too_short(seconds: float) -> bool:
        asked.append(seconds)
        moment[0] += 4.0
        return False

    assert Deadline(10).wait(too_short) is False
    assert asked == [10.0, 6.0, 2.0]


def test_a_deadline_returns_what_was_found():
    assert Deadline(10).wait(lambda seconds: "found") == "found"
    assert Deadline(0).wait(lambda seconds: seconds) == 0.0


def test_the_wall_clock_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    deadline = Deadline(60)
    monkeypatch.setattr(time, "time", lambda: 1e12)
    assert not deadline.expired


def test_a_stopped_process_does_not_lose_its_time():
    """SIGSTOP in the midst of a wait, and SIGCONT long after its deadline."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "waiting\n"
            os.kill(child.pid, signal.SIGSTOP)
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(GAP_SECONDS + 1)
            os.kill(child.pid, signal.SIGCONT)
            waited = float(child.stdout.readline())
        finally:
            child.kill()
    assert waited > GAP_SECONDS + 1 + TICK_SECONDS - 0.5, "what was left of the second came after"
