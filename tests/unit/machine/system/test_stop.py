"""The end of a running system: the trigger must expect it, and the console must show the reason."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError, PhaseTimeout, QemuDied
from harness.machine.system import stop as module
from harness.machine.system.console import SystemConsole
from harness.machine.system.running import RunningSystem
from harness.machine.system.stop import stop
from harness.triggers.trigger import Stopped, Trigger
from tests.support.runs.running_system import REASON, SECONDS, FakeShell

SOON = 0.2  # in which what does not come does not come
PANIC = "Kernel panic - not syncing: sysrq\r\n"


@pytest.fixture(autouse=True)
def few_last_words(monkeypatch):
    monkeypatch.setattr(module, "LAST_WORDS_SECONDS", SOON)


def trigger(stopped: Stopped = Stopped.DISABLED_WAIT, *, restart: bool = False) -> Trigger:
    return Trigger("test", "x", "pull", "Kernel panic", stopped=stopped, restart=restart)


def system(guest, session=None, shell=None) -> RunningSystem:
    console = SystemConsole(guest, session)
    return RunningSystem(guest, None, session, console, shell or FakeShell())


@pytest.mark.parametrize(
    ("ended", "stopped"),
    [("GUEST_PANICKED", Stopped.DISABLED_WAIT), ("SHUTDOWN", Stopped.ALL_STOPPED)],
)
def test_the_end_that_the_trigger_promises(guest, ended, stopped):
    guest.ended = ended
    guest.say(PANIC)
    shell = FakeShell()
    running = system(guest, shell=shell)
    assert stop(running, trigger(stopped), guest, Deadline(SECONDS)) == REASON
    assert (shell.ran, shell.sent) == ([], ["pull"])
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
        stop(running, trigger(stopped), guest, Deadline(SECONDS))
    # the console's log of a snapshot that fails is gone
    assert "\n  | Kernel panic - not syncing: sysrq" in caught.value.message
    assert "console.log" not in f"{caught.value.message} {caught.value.hint}"


def test_another_crash_is_an_error_with_the_last_lines(guest):
    guest.say("Oops\r\n")
    with pytest.raises(HarnessError, match="does not show 'Kernel panic'") as caught:
        stop(system(guest), trigger(), guest, Deadline(SECONDS))
    assert "\n  | Oops" in caught.value.message


def test_a_machine_that_runs_on_is_a_timeout(guest):
    guest.ended = None
    with pytest.raises(PhaseTimeout, match="the guest to stop after trigger test") as caught:
        stop(system(guest), trigger(), guest, Deadline(SECONDS))
    assert caught.value.phase == "crash"


def test_qemu_that_has_died_is_no_end_of_the_system(guest):
    guest.ended, guest.alive = None, False
    with pytest.raises(QemuDied):
        stop(system(guest), trigger(), guest, Deadline(SECONDS))


def test_the_operator_stops_a_machine_after_its_message(guest):
    guest.ended = None
    guest.say(PANIC)
    shell = FakeShell()
    running = system(guest, shell=shell)
    assert stop(running, trigger(Stopped.BY_OPERATOR), guest, Deadline(SECONDS)) == {}
    assert (shell.ran, shell.sent) == ([], ["pull"])
    assert guest.done == ["stop"]


def test_the_operator_does_not_stop_a_machine_without_its_message(guest):
    with pytest.raises(HarnessError, match="does not show"):
        stop(system(guest), trigger(Stopped.BY_OPERATOR), guest, Deadline(SOON))
    assert guest.done == []


def test_psw_restart_comes_after_the_command(guest):
    guest.say(PANIC)
    shell = FakeShell()
    running = system(guest, shell=shell)
    assert stop(running, trigger(restart=True), guest, Deadline(SECONDS)) == REASON
    assert (shell.ran, shell.sent) == (["pull"], [])
    assert guest.done == ["inject-nmi"]


def test_psw_restart_does_not_come_after_a_command_that_failed(guest):
    running = system(guest, shell=FakeShell(HarnessError("'pull' failed")))
    with pytest.raises(HarnessError, match="'pull' failed"):
        stop(running, trigger(restart=True), guest, Deadline(SECONDS))
    assert guest.done == []


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
    assert stop(running, trigger(Stopped.DUMP_REQUEST), guest, Deadline(SECONDS)) == {}
    assert running.requested_block() == b"block"


@pytest.mark.parametrize(
    ("dump_requested", "stopped"),
    [(True, Stopped.DISABLED_WAIT), (False, Stopped.DUMP_REQUEST)],
)
def test_a_load_that_the_trigger_does_not_promise(guest, dump_requested, stopped):
    running = system(guest, session(dump_requested=dump_requested))
    with pytest.raises(HarnessError, match="ended with DIAGNOSE X'308' instead of"):
        stop(running, trigger(stopped), guest, Deadline(SECONDS))


def test_nothing_is_typed_at_a_system_that_dies_in_its_boot(guest):
    guest.ended = "GUEST_PANICKED"
    shell = FakeShell()
    dying = Trigger("test", "x", "", "Kernel panic", in_boot=True)
    assert stop(system(guest, shell=shell), dying, guest, Deadline(SECONDS)) == REASON
    assert (shell.ran, shell.sent) == ([], [])
