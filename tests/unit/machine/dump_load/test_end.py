"""How the ends of a dump system are distinguished, and the outcome of each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.dump_tools.table import UNKNOWN, ZFCPDUMP
from harness.dump_tools.tool import End
from harness.errors import HostError, ProtocolError, QemuDied
from harness.evidence.outcome import Outcome
from harness.firmware.load import dump_load
from harness.machine.dump_load.console_watch import ConsoleWatch
from harness.machine.dump_load.dumper import _classify
from harness.machine.dump_load.session import DumpSession, Ended
from harness.qemu.gdbstub.rsp import StopReply
from harness.qemu.monitor import Event
from harness.qemu.scheduling import Scheduling
from harness.s390x.ipl import fcp_block
from harness.s390x.wiring import DUMP_DISK
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage

HSA = 1 << 20
BLOCK = fcp_block(DUMP_DISK, dump=True)
SOON = 0.05  # seconds, in which nothing happens
STOP = StopReply(signal=5)


class Session(DumpSession):
    """Its stops are of no interest: whether they are the firmware's is set from outside."""

    ours: Iterator[bool] = itertools.repeat(False)
    gone = False

    def handle(self, stop: StopReply) -> bool:
        return next(self.ours)


class Machine:
    """A QEMU that stops when it is told to."""

    def __init__(self, event: str | None = None, *stops: StopReply | None) -> None:
        self.alive = True
        self.resumed = 0
        self._event, self._stops = event, list(stops)
        self.gdb = SimpleNamespace(
            resume=self._resume, wait_stop=self._wait_stop, read_register=lambda name: 0x1234
        )
        self.console = SimpleNamespace(tail=lambda count: ("last words",))
        self.held = None
        self.monitor = SimpleNamespace(wait_event=self._wait_event)
        self.notes: list[tuple[str, dict]] = []
        self.watch = ConsoleWatch(ZFCPDUMP)
        self.scheduling = lambda: None

    def check(self) -> None:
        if not self.alive:
            raise QemuDied("QEMU 'dump' ended on its own")

    def note(self, event, /, **details) -> None:
        self.notes.append((event, details))

    def session(self) -> Session:
        storage = FakeStorage(bytes(2 * HSA))
        crash = SimpleNamespace(cpus=(make_cpu(1),))
        firmware = dump_load(storage, BLOCK, storage, crash.cpus, HSA)
        return Session(self, storage, firmware, storage, crash, HSA, self, self.watch)

    def _resume(self) -> None:
        self.resumed += 1

    def _wait_stop(self, deadline: Deadline) -> StopReply | None:
        return self._stops.pop(0) if self._stops else None

    def _wait_event(self, names: tuple[str, ...], deadline: Deadline) -> Event | None:
        if self._event is None:
            return None
        assert self._event in names
        return Event(self._event, {"reason": "x"}, 0.0)


@pytest.mark.parametrize(
    ("event", "ended"),
    [
        ("SHUTDOWN", Ended.POWERED_OFF),
        ("GUEST_PANICKED", Ended.PANICKED),
        ("RESET", Ended.RE_IPL),
    ],
)
def test_qmp_says_why_the_machine_stopped(event, ended):
    machine = Machine(event, STOP)
    assert machine.session().run(Deadline(60), 60) is ended
    assert machine.notes == [
        ("QMP event", {"name": event, "reason": "x"}),
        ("dump system ended", {"how": ended.value}),
    ]


def test_a_request_for_another_load_is_the_end():
    machine = Machine(None, STOP)
    session = machine.session()
    session.ours, session.gone = itertools.repeat(True), True
    assert session.run(Deadline(60), 60) is Ended.RE_IPL


def test_stops_of_the_firmware_are_no_end():
    machine = Machine("SHUTDOWN", *[STOP] * 3)
    session = machine.session()
    session.ours = iter([True, True, False])
    assert session.run(Deadline(60), 60) is Ended.POWERED_OFF
    assert machine.resumed == 3


def test_a_machine_that_stops_for_no_reason_breaks_the_protocol():
    with pytest.raises(ProtocolError, match="stopped the dump machine at 0x1234 without"):
        Machine(None, STOP).session().run(Deadline(60), 60)


@pytest.mark.parametrize("stops", [(STOP,), ()])
def test_qemu_that_has_died_is_no_end_of_the_dump_system(stops):
    machine = Machine(None, *stops)
    machine.alive = False
    with pytest.raises(QemuDied):
        machine.session().run(Deadline(60), 60)


def test_silence_is_a_stall():
    machine = Machine()
    machine.watch.last_line = -math.inf
    assert machine.session().run(Deadline(60), SOON) is Ended.STALLED


def test_a_system_that_still_prints_is_out_of_time_not_stalled():
    machine = Machine()
    machine.watch.last_line = math.inf
    assert machine.session().run(Deadline(SOON), SOON) is Ended.OUT_OF_TIME


def test_endless_stops_of_the_firmware_are_out_of_time():
    machine = Machine()
    machine.gdb.wait_stop = lambda deadline: STOP
    session = machine.session()
    session.ours = itertools.repeat(True)
    assert session.run(Deadline(SOON), 60) is Ended.OUT_OF_TIME
    assert machine.resumed > 1


def test_a_short_wait_before_the_deadline_is_no_hang():
    machine = Machine()
    machine.watch.last_line = -math.inf
    assert machine.session().run(Deadline(0), SOON) is Ended.OUT_OF_TIME


def test_an_end_in_the_last_moment_counts():
    machine = Machine("SHUTDOWN", STOP)
    waited: list[float] = []
    told = machine.monitor.wait_event

    def wait_event(names, deadline):
        waited.append(deadline.remaining)
        return told(names, deadline)

    machine.monitor.wait_event = wait_event
    assert machine.session().run(Deadline(0), 60) is Ended.POWERED_OFF
    assert waited[0] > 1, "QMP is given its time"


@pytest.fixture
def time_passes(monkeypatch):
    """Each wait for a stop takes 20 s, in which the host treats QEMU as is set."""
    time = SimpleNamespace(now=0.0, waits=0)
    monkeypatch.setattr("harness.clock.now", lambda: time.now)

    def pass_by(machine: Machine, treated=lambda time: None) -> SimpleNamespace:
        def wait_stop(deadline):
            time.waits += 1
            time.now += 20.0

        machine.gdb.wait_stop = wait_stop
        machine.scheduling = lambda: treated(time)
        return time

    return pass_by


def test_a_silent_machine_is_given_all_its_time(time_passes):
    machine = Machine()
    machine.watch.last_line = -math.inf
    time = time_passes(machine)
    assert machine.session().run(Deadline(1000), 60.0) is Ended.STALLED
    assert time.waits == 4  # after 20, 40 and 60 s it is not yet more than 60


def test_a_machine_that_its_timer_stops_is_silent_all_the_same(time_passes):
    machine = Machine()
    machine.watch.last_line = -math.inf
    time = time_passes(machine)
    silent = machine.gdb.wait_stop
    machine.gdb.wait_stop = lambda deadline: silent(deadline) or STOP
    session = machine.session()
    session.ours = itertools.repeat(True)
    assert session.run(Deadline(1000), 60.0) is Ended.STALLED
    assert time.waits == 4


def test_a_line_in_between_is_no_silence(time_passes):
    machine = Machine()
    machine.watch.last_line = 50.0
    time = time_passes(machine)
    assert machine.session().run(Deadline(1000), 60.0) is Ended.STALLED
    assert time.waits == 7  # 60 s from the end of the wait in which it came


def test_time_without_a_cpu_is_no_silence(time_passes):
    machine = Machine()
    machine.watch.last_line = -math.inf
    # of 20 s, 15 on the run queue
    time = time_passes(machine, lambda time: Scheduling(False, {1: 0.75 * time.now, 2: 0.0}))
    assert machine.session().run(Deadline(1000), 60.0) is Ended.STALLED
    assert time.waits == 13  # of 5 s each


def test_a_deadline_without_a_cpu_is_the_hosts_fault(time_passes):
    machine = Machine()
    machine.watch.last_line = math.inf
    time_passes(machine, lambda time: Scheduling(False, {1: 0.9 * time.now}))
    with pytest.raises(HostError, match=r"let QEMU run for 10. of the 1000 s"):
        machine.session().run(Deadline(1000), 60.0)


def test_a_deadline_with_half_a_cpu_has_passed(time_passes):
    machine = Machine()
    machine.watch.last_line = math.inf
    time_passes(machine, lambda time: Scheduling(False, {1: 0.5 * time.now}))
    assert machine.session().run(Deadline(1000), 60.0) is Ended.OUT_OF_TIME


def test_a_qemu_that_a_signal_has_stopped_is_the_hosts_fault(time_passes):
    machine = Machine()
    machine.watch.last_line = -math.inf
    time = time_passes(machine, lambda time: Scheduling(True))
    with pytest.raises(HostError, match="QEMU was stopped by a signal"):
        machine.session().run(Deadline(1000), 60.0)
    assert time.waits == 50


def test_a_qemu_that_goes_on_shortly_before_the_deadline_had_no_time(time_passes):
    machine = Machine()
    machine.watch.last_line = math.inf
    time = time_passes(machine, lambda time: Scheduling(100 <= time.now <= 960))
    with pytest.raises(HostError, match="QEMU was stopped by a signal"):
        machine.session().run(Deadline(1000), 60.0)
    assert time.waits == 50


def test_a_qemu_that_goes_on_is_given_all_its_time(time_passes):
    machine = Machine()
    machine.watch.last_line = -math.inf
    time = time_passes(machine, lambda time: Scheduling(100 <= time.now <= 500))
    assert machine.session().run(Deadline(1000), 100.0) is Ended.STALLED
    assert time.waits > 25


@pytest.mark.parametrize(
    ("ended", "line", "outcome"),
    [
        (Ended.POWERED_OFF, "zfcpdump result: ok 4 MB", Outcome.FINISHED),
        (Ended.RE_IPL, "zfcpdump result: ok", Outcome.FINISHED),
        (Ended.POWERED_OFF, "zfcpdump result: failed: no disk", Outcome.FAILED),
        (Ended.RE_IPL, "zfcpdump result: okay", Outcome.FAILED),
        (Ended.POWERED_OFF, "zfcpdump result: ", Outcome.FAILED),
        (Ended.POWERED_OFF, "ok", Outcome.ENDED_SILENTLY),
        (Ended.RE_IPL, " zfcpdump result: ok", Outcome.ENDED_SILENTLY),
        (Ended.PANICKED, "zfcpdump result: ok", Outcome.PANICKED),
        (Ended.STALLED, "zfcpdump result: ok", Outcome.STALLED),
        (Ended.OUT_OF_TIME, "zfcpdump result: ok", Outcome.OUT_OF_TIME),
        (Ended.PANICKED, "", Outcome.PANICKED),
        (Ended.STALLED, "", Outcome.STALLED),
    ],
)
def test_every_end_has_its_outcome(ended, line, outcome):
    console = ConsoleWatch(ZFCPDUMP)
    console.line(line)
    assert _classify(ended, console, ZFCPDUMP) is outcome


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (Ended.POWERED_OFF, Outcome.FINISHED),
        (Ended.RE_IPL, Outcome.ENDED_OTHERWISE),
        (Ended.PANICKED, Outcome.FINISHED),
        (Ended.STALLED, Outcome.STALLED),
        (Ended.OUT_OF_TIME, Outcome.OUT_OF_TIME),
    ],
)
def test_a_tool_that_says_nothing_is_known_by_the_machines_end(ended, outcome):
    silent = replace(UNKNOWN, ends=frozenset({End.POWER_OFF, End.DISABLED_WAIT}))
    assert _classify(ended, ConsoleWatch(silent), silent) is outcome
