"""A running system's end: it must be the trigger's, and the console must show why."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError, PhaseTimeout, QemuDied
from harness.machine.system import running as module
from harness.machine.system.running import RunningSystem
from harness.qemu.console import Console
from harness.qemu.monitor import Event
from harness.triggers.trigger import Stopped, Trigger

SECONDS = 10
SOON = 0.2  # in which what does not come does not come
PANIC = "Kernel panic - not syncing: sysrq\r\n"
REASON = {"info": {"core": 0}}


def trigger(stopped: Stopped = Stopped.DISABLED_WAIT, *, restart: bool = False) -> Trigger:
    return Trigger("test", "x", "pull", "Kernel panic", stopped=stopped, restart=restart)


class Guest:
    """The guest's end of a real console, and a QMP that knows how the machine ended."""

    def __init__(self, log, ended: str | None = "GUEST_PANICKED") -> None:
        ours, self.sock = socket.socketpair()
        self.console = Console(ours, log, name="g", started=time.monotonic())
        self.monitor = SimpleNamespace(execute=self._execute, wait_event=self._wait_event)
        self.alive = True
        self.done: list[str] = []  # by the operator
        self.notes: list[str] = []
        self.ended = ended

    def say(self, text: str) -> None:
        self.sock.sendall(text.encode())

    def typed(self) -> str:
        """Everything that came from the keyboard."""
        self.sock.settimeout(SECONDS)
        return self.sock.recv(4096).decode()

    def check(self) -> None:
        if not self.alive:
            raise QemuDied("QEMU 'crash' ended on its own")

    def note(self, event, /, **details) -> None:
        self.notes.append(event)

    def _execute(self, command, arguments=None, *, deadline) -> None:
        self.done.append(command)

    def _wait_event(self, names, deadline) -> Event | None:
        return None if self.ended is None else Event(self.ended, REASON, 0.0)


@pytest.fixture
def guest(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LAST_WORDS_SECONDS", SOON)
    guest = Guest(tmp_path / "console.log")
    yield guest
    guest.sock.close()
    guest.console.close()


def system(guest, session=None) -> RunningSystem:
    return RunningSystem(guest, None, session, guest)


@pytest.mark.parametrize(
    ("ended", "stopped"),
    [("GUEST_PANICKED", Stopped.DISABLED_WAIT), ("SHUTDOWN", Stopped.ALL_STOPPED)],
)
def test_the_end_that_the_trigger_promises(guest, ended, stopped):
    guest.ended = ended
    guest.say(PANIC)
    assert system(guest).stop(trigger(stopped), Deadline(SECONDS)) == REASON
    assert guest.typed() == "pull\n"
    assert guest.done == []
    assert guest.notes == ["QMP event"]


@pytest.mark.parametrize(
    ("ended", "stopped"),
    [
        ("SHUTDOWN", Stopped.DISABLED_WAIT),
        ("RESET", Stopped.DISABLED_WAIT),
        ("GUEST_PANICKED", Stopped.ALL_STOPPED),
        ("GUEST_PANICKED", Stopped.DUMP_REQUEST),
    ],
)
def test_another_end_is_an_error_with_the_last_lines(guest, ended, stopped):
    guest.ended = ended
    guest.say(PANIC)
    running = system(guest)
    guest.console.expect(["sysrq"], timeout=SECONDS)
    with pytest.raises(HarnessError, match=f"ended with {ended} instead of") as caught:
        running.stop(trigger(stopped), Deadline(SECONDS))
    # the console's log of a snapshot that fails is gone
    assert "\n  | Kernel panic - not syncing: sysrq" in caught.value.message
    assert "console.log" not in f"{caught.value.message} {caught.value.hint}"


def test_another_death_is_an_error_with_the_last_lines(guest):
    guest.say("Oops\r\n")
    with pytest.raises(HarnessError, match="does not show 'Kernel panic'") as caught:
        system(guest).stop(trigger(), Deadline(SECONDS))
    assert "\n  | Oops" in caught.value.message


def test_a_machine_that_runs_on_is_a_timeout(guest):
    guest.ended = None
    with pytest.raises(PhaseTimeout, match="the guest to stop after trigger test") as caught:
        system(guest).stop(trigger(), Deadline(SECONDS))
    assert caught.value.phase == "crash"


def test_qemu_that_has_died_is_no_end_of_the_system(guest):
    guest.ended, guest.alive = None, False
    with pytest.raises(QemuDied):
        system(guest).stop(trigger(), Deadline(SECONDS))


def test_the_operator_stops_a_machine_that_has_said_its_word(guest):
    guest.ended = None
    guest.say(PANIC)
    assert system(guest).stop(trigger(Stopped.BY_OPERATOR), Deadline(SECONDS)) == {}
    assert guest.typed() == "pull\n"
    assert guest.done == ["stop"]


def test_the_operator_stops_no_machine_that_says_nothing(guest):
    with pytest.raises(HarnessError, match="does not show"):
        system(guest).stop(trigger(Stopped.BY_OPERATOR), Deadline(SOON))
    assert guest.done == []


def test_psw_restart_comes_after_the_command(guest):
    guest.say(f"pull\r\nzharness: status 0\r\nzharness# {PANIC}")
    assert system(guest).stop(trigger(restart=True), Deadline(SECONDS)) == REASON
    assert guest.done == ["inject-nmi"]


def test_psw_restart_does_not_come_after_a_command_that_failed(guest):
    guest.say("no such file\r\nzharness: status 1\r\nzharness# ")
    with pytest.raises(HarnessError, match="'pull' failed"):
        system(guest).stop(trigger(restart=True), Deadline(SECONDS))
    assert guest.done == []


def test_a_panic_during_boot_is_an_error_with_the_last_lines(guest):
    guest.say(f"Linux version 6.12\r\n{PANIC}")
    with pytest.raises(HarnessError, match="panicked on its own") as caught:
        system(guest).boot("boot", Deadline(SECONDS))
    assert "\n  | Linux version 6.12" in caught.value.message
    assert "console.log" not in f"{caught.value.message} {caught.value.hint}"


def session(*, dump_requested: bool = True) -> SimpleNamespace:
    """Of a system that has just asked for another load."""
    return SimpleNamespace(
        play=lambda deadline, wait_seconds=None: False,
        gone=True,
        dump_requested=dump_requested,
        ipl_block=b"block",
    )


def test_a_system_that_asks_for_its_dump(guest):
    guest.say(PANIC)
    running = system(guest, session())
    assert running.stop(trigger(Stopped.DUMP_REQUEST), Deadline(SECONDS)) == {}
    assert running.requested_block() == b"block"


@pytest.mark.parametrize(
    ("dump_requested", "stopped"),
    [(True, Stopped.DISABLED_WAIT), (False, Stopped.DUMP_REQUEST)],
)
def test_a_load_that_the_trigger_does_not_promise(guest, dump_requested, stopped):
    running = system(guest, session(dump_requested=dump_requested))
    with pytest.raises(HarnessError, match="ended with DIAGNOSE X'308' instead of"):
        running.stop(trigger(stopped), Deadline(SECONDS))
