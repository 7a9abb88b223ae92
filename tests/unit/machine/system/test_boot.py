"""From a system's load to its shell: the steps, and the ways to fail."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError, PhaseTimeout
from harness.machine.system.boot import boot, boot_full
from harness.machine.system.console import SystemConsole
from harness.ssh.handshake import Login
from harness.ssh.keys import KeyPair
from tests.support.guests.sshd import Sshd, prints
from tests.support.runs.running_system import SECONDS

SOON = 0.2  # in which what does not come does not come
UP = "Linux version 6.12\r\nzharness: crashed system ready\r\nzharness# "
PANIC = "Kernel panic - not syncing: sysrq\r\n"


def test_a_system_that_comes_up_has_a_shell(guest):
    guest.say(UP)
    shell = boot(SystemConsole(guest, None), None, "boot", Deadline(SECONDS))
    guest.say("zharness: status 0\r\nzharness# ")
    assert shell.run("true", Deadline(SECONDS)) == ""


def test_a_panic_during_boot_is_an_error_with_the_last_lines(guest):
    guest.say(f"Linux version 6.12\r\n{PANIC}")
    with pytest.raises(HarnessError, match="panicked on its own") as caught:
        boot(SystemConsole(guest, None), None, "boot", Deadline(SECONDS))
    assert "\n  | Linux version 6.12" in caught.value.message
    assert "console.log" not in f"{caught.value.message} {caught.value.hint}"


def test_a_system_that_is_to_panic_during_boot_has_booted_when_it_does(guest):
    guest.say(f"Linux version 6.12\r\n{PANIC}")
    boot(SystemConsole(guest, None), None, "boot", Deadline(SECONDS), dies="Kernel panic - ")


def test_a_system_that_is_to_panic_during_boot_must_not_come_up(guest):
    guest.say(UP)
    with pytest.raises(
        HarnessError, match="the system came up, although it was to panic"
    ) as caught:
        boot(SystemConsole(guest, None), None, "boot", Deadline(SECONDS), dies="Kernel panic - ")
    assert "rdinit" in caught.value.hint


@pytest.mark.parametrize("said", ["Linux version\r\n", UP.removesuffix("zharness# ")])
def test_a_system_that_does_not_come_up_is_a_timeout_of_its_phase(guest, said):
    guest.say(said)
    with pytest.raises(PhaseTimeout, match="crashed system ready") as caught:
        boot(SystemConsole(guest, None), None, "reipl", Deadline(SOON))
    assert caught.value.phase == "reipl"


def test_a_system_from_its_own_disk_is_played_until_it_is_up(guest):
    done: list[str] = []

    def play(deadline, wait_seconds) -> bool:
        done.append("play")
        guest.say(UP)
        return True

    session = SimpleNamespace(
        load=lambda phase, deadline: done.append(f"load in {phase}"),
        begin=lambda: done.append("begin"),
        play=play,
        settle=lambda deadline: done.append("settle"),
    )
    boot(SystemConsole(guest, session), session, "boot", Deadline(SECONDS))
    assert done[:3] == ["load in boot", "begin", "play"]
    assert (done[-1], done.count("settle")) == ("settle", 1)


@pytest.fixture
def sshd(tmp_path):
    key = KeyPair.make()
    key.write(tmp_path / "id")
    with Sshd(tmp_path, key.public, commands={"id -u": prints(b"0\n")}) as sshd:
        yield sshd


@pytest.fixture
def full(guest, tmp_path, sshd):
    """Boots a full system whose SSH server is real; ``session`` is None for a direct load."""
    guest.ended = None
    _, port = sshd.address
    guest.monitor.execute = lambda *_, deadline: (
        f"  TCP[HOST_FORWARD]  4       127.0.0.1 {port}       10.0.2.15    22     0     0\r\n"
    )

    def start(session=None):
        login = Login("root", tmp_path / "id", sshd.host_key.public)
        console = SystemConsole(guest, session)
        return boot_full(guest, console, session, login, "boot", Deadline(SECONDS))

    return start


def test_a_full_system_is_up_when_it_lets_its_user_in(full):
    with full() as shell:
        assert shell.run("id -u", Deadline(SECONDS)) == "0\n"


def test_a_full_system_from_its_own_disk_is_played_until_it_is_up(full, sshd):
    done: list[str] = []
    sshd.hangs_up = True

    def play(deadline, wait_seconds) -> bool:
        done.append("play")
        sshd.hangs_up = False
        return True

    session = SimpleNamespace(
        load=lambda phase, deadline: done.append(f"load in {phase}"),
        begin=lambda: done.append("begin"),
        play=play,
        settle=lambda deadline: done.append("settle"),
        handled=0,
    )
    with full(session) as shell:
        assert done[:2] == ["load in boot", "begin"]
        assert "play" in done[: done.index("settle")]
        assert shell.run("id -u", Deadline(SECONDS)) == "0\n"


def test_a_full_system_that_panics_in_its_boot_is_an_error_with_the_last_lines(guest, full):
    guest.ended = "GUEST_PANICKED"
    guest.say(f"Linux version 6.1\r\n{PANIC}")
    assert guest.console.expect(["sysrq"], timeout=SECONDS) == 0
    with pytest.raises(HarnessError, match="stopped on its own, during boot: it panic") as caught:
        full().run("sleep", Deadline(SECONDS))
    assert "\n  | Linux version 6.1" in caught.value.message
