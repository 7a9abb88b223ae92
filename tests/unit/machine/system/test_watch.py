"""The machine is played, and its end is noticed, while somebody waits for something else."""

from __future__ import annotations

import pytest

from harness.deadline import Deadline
from harness.errors import QemuDied
from harness.machine.system import watch as module
from harness.machine.system.console import SystemConsole
from harness.machine.system.watch import MachineWatch, SystemStopped
from tests.support.runs.running_system import SECONDS


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "END_SECONDS", 0.1)


class FakeSession:
    """A session with ``stops`` to play; then the machine stands, or runs on."""

    def __init__(self, stops: int = 0, *, stands: bool = False, dump: bool = False, gone=False):
        self.handled, self._left = 0, stops
        self._stands = stands
        self.dump_requested, self.gone = dump, gone or dump

    def play(self, deadline, wait_seconds) -> bool:
        assert wait_seconds == 0.0, "the command may have ended meanwhile"
        if self._left:
            self._left -= 1
            self.handled += 1
            return True
        return not self._stands


def watch(guest, session=None) -> MachineWatch:
    return MachineWatch(guest, session, SystemConsole(guest, session))


def never(seconds: float) -> bool:
    return False


def test_what_has_ended_is_waited_for_no_longer(guest):
    guest.ended = None
    watch(guest).wait(lambda seconds: True, Deadline(SECONDS))


def test_what_does_not_end_is_waited_for_until_the_deadline(guest):
    guest.ended = None
    watch(guest).wait(never, Deadline(0.05))


@pytest.mark.parametrize(
    ("event", "how"),
    [
        ("GUEST_PANICKED", "it panicked"),
        ("SHUTDOWN", "it powered off"),
        ("RESET", "it restarted"),
    ],
)
def test_qmp_tells_the_end(guest, event, how):
    guest.ended = event
    with pytest.raises(SystemStopped) as caught:
        watch(guest).wait(never, Deadline(SECONDS))
    assert caught.value.how.startswith(f"{how} ({event})")


def test_the_last_line_of_the_console_is_told_on_the_same_line(guest):
    guest.say("Kernel panic - not syncing: \x1b[31msysrq\r\n")
    assert guest.console.expect(["sysrq\r\n"], timeout=SECONDS) == 0
    with pytest.raises(SystemStopped) as caught:
        watch(guest).look()
    assert caught.value.how.endswith(r"Kernel panic - not syncing: \x1b[31msysrq")


def test_qemu_that_has_died_is_no_end_of_the_system(guest):
    guest.ended, guest.alive = None, False
    with pytest.raises(QemuDied):
        watch(guest).wait(never, Deadline(SECONDS))


def test_all_stops_that_have_come_are_played(guest):
    guest.ended = None
    session = FakeSession(5)
    watch(guest, session).look()
    assert session.handled == 5


@pytest.mark.parametrize(
    ("session", "how"),
    [
        (FakeSession(stands=True, dump=True), "it asked for a dump load (DIAGNOSE X'308')"),
        (FakeSession(stands=True, gone=True), "it asked for another load (DIAGNOSE X'308')"),
    ],
)
def test_a_request_for_a_load_is_an_end(guest, session, how):
    with pytest.raises(SystemStopped) as caught:
        watch(guest, session).wait(never, Deadline(SECONDS))
    assert caught.value.how == how


def test_a_played_machine_that_stands_has_its_reason_from_qmp(guest):
    with pytest.raises(SystemStopped, match="it panicked"):
        watch(guest, FakeSession(stands=True)).look()
    guest.ended = None
    with pytest.raises(SystemStopped, match="QEMU does not say why"):
        watch(guest, FakeSession(stands=True)).look()
