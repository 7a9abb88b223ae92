"""Whether a host lets a process run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from harness.qemu.scheduling import RunTime, Scheduling, scheduling_of


def test_time_counts_while_a_process_runs():
    ran = RunTime(Scheduling(False, {1: 5.0}), 100.0)
    assert ran.advance(Scheduling(False, {1: 5.0}), 103.0) == 3.0


def test_time_on_the_run_queue_does_not_count():
    ran = RunTime(Scheduling(False, {1: 5.0, 2: 0.0}), 100.0)
    assert ran.advance(Scheduling(False, {1: 6.5, 2: 2.0}), 103.0) == 1.0
    assert ran.advance(Scheduling(False, {1: 60.0, 2: 2.0}), 104.0) == 0.0


def test_a_new_thread_counts_from_the_next_look_on():
    ran = RunTime(Scheduling(False, {1: 5.0}), 100.0)
    assert ran.advance(Scheduling(False, {1: 5.0, 2: 50.0}), 101.0) == 1.0
    assert ran.advance(Scheduling(False, {1: 5.0, 2: 50.5}), 102.0) == 0.5


@pytest.mark.parametrize("stopped", [(True, False), (False, True), (True, True)])
def test_a_stopped_process_does_not_run(stopped: tuple[bool, bool]):
    ran = RunTime(Scheduling(stopped[0]), 100.0)
    assert ran.advance(Scheduling(stopped[1]), 200.0) == 0.0


@pytest.mark.parametrize("unknown", [(None, Scheduling(False)), (Scheduling(True), None)])
def test_where_nothing_is_known_all_time_counts(unknown: tuple[Scheduling | None, ...]):
    ran = RunTime(unknown[0], 100.0)
    assert ran.advance(unknown[1], 103.0) == 3.0


def test_a_real_process_is_seen_to_stop_and_to_go_on():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        try:
            os.kill(child.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED)
            stopped = scheduling_of(child.pid)
            os.kill(child.pid, signal.SIGCONT)
            os.waitid(os.P_PID, child.pid, os.WCONTINUED)
            going = scheduling_of(child.pid)
        finally:
            child.kill()
    assert stopped is not None
    assert stopped.stopped
    assert going is not None
    assert not going.stopped
    assert child.pid in going.waited


def test_a_missing_process_has_no_scheduling():
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert scheduling_of(child.pid) is None
