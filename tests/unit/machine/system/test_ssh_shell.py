"""The shell of a full system, with a real SSH server and a fake machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError, PhaseTimeout, QemuDied
from harness.machine.system import ssh_shell as module
from harness.machine.system.console import SystemConsole
from harness.machine.system.ssh_shell import SshShell, log_in
from harness.machine.system.watch import MachineWatch
from harness.ssh.connection import SshConnection
from harness.ssh.errors import ConnectionLost, HostKeyDiffers, LoginRefused, TransferFailed
from harness.ssh.handshake import Login
from harness.ssh.keys import KeyPair
from harness.ssh.terminal import Size
from tests.support.guests.sshd import Sshd, dies, never_ends, prints
from tests.support.runs.running_system import SECONDS, Guest

KEY, OTHER = KeyPair.make(), KeyPair.make()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "LOST_SECONDS", 0.2)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(Sshd(tmp_path, KEY.public, **how))


def try_to_log_in(
    guest: Guest, sshd: Sshd, tmp_path: Path, seconds: float = SECONDS, key: KeyPair = KEY
) -> SshConnection:
    (tmp_path / "id").unlink(missing_ok=True)
    key.write(tmp_path / "id")
    console = SystemConsole(guest, None)
    watch = MachineWatch(guest, None, console)
    login = Login("root", tmp_path / "id", sshd.host_key.public)
    return log_in(login, sshd.address, console, watch, "boot", Deadline(seconds))


@pytest.fixture
def shell_of(guest, tmp_path: Path) -> Iterator[Callable[[Sshd], SshShell]]:
    guest.ended = None
    with ExitStack() as stack:

        def start(sshd: Sshd) -> SshShell:
            console = SystemConsole(guest, None)
            connection = try_to_log_in(guest, sshd, tmp_path)
            watch = MachineWatch(guest, None, console)
            return stack.enter_context(SshShell(connection, console, watch))

        yield start


def test_a_command_gives_what_it_printed(serving, shell_of):
    shell = shell_of(serving(commands={"ls": prints(b"out\n", b"err\xff\n")}))
    assert shell.run("ls", Deadline(SECONDS)) == "out\nerr\N{REPLACEMENT CHARACTER}\n"


def test_a_command_in_the_background_keeps_no_output(serving, shell_of):
    sent = "{ spin &  } < /dev/null > /dev/null 2>&1"
    shell = shell_of(serving(commands={sent: prints(b"")}))
    assert shell.run("spin & ", Deadline(SECONDS)) == ""


def test_a_command_that_fails_says_how(serving, shell_of):
    program = prints(b"1\n2\n3\n", b"no \x1b[1mfile\n", 127)
    shell = shell_of(serving(commands={"ls": program, "kill": prints(b"", status=None)}))
    with pytest.raises(HarnessError, match="'ls' failed") as caught:
        shell.run("ls", Deadline(SECONDS))
    assert caught.value.message.endswith(r"(status 127): 2 / 3 / no \x1b[1mfile")
    with pytest.raises(HarnessError, match=r"\(a signal ended it\): nothing$"):
        shell.run("kill", Deadline(SECONDS))


def test_a_command_that_does_not_end_is_a_timeout(serving, shell_of):
    shell = shell_of(serving(commands={"cat": never_ends, "true": prints(b"")}))
    with pytest.raises(PhaseTimeout, match="'cat' to end") as caught:
        shell.run("cat", Deadline(0.1))
    assert caught.value.phase == "crash"
    assert shell.run("true", Deadline(SECONDS)) == ""


def test_a_command_that_does_not_come_back_is_only_sent(serving, shell_of):
    sshd = serving()
    shell_of(sshd).send("echo c > /proc/sysrq-trigger")
    assert sshd.wait_typed(b"echo c > /proc/sysrq-trigger\n")


def test_files_go_both_ways(serving, shell_of, tmp_path: Path):
    shell = shell_of(serving())
    (tmp_path / "here").write_bytes(b"data")
    shell.put(tmp_path / "here", "/there", Deadline(SECONDS))
    shell.get("/there", tmp_path / "back", Deadline(SECONDS))
    assert (tmp_path / "back").read_bytes() == b"data"
    with pytest.raises(TransferFailed, match="No such file"):
        shell.get("/none", tmp_path / "back", Deadline(SECONDS))


def test_a_person_gets_a_terminal(serving, shell_of):
    sshd = serving()
    with shell_of(sshd).terminal("xterm", Size(), Deadline(SECONDS)) as terminal:
        terminal.write(b"ls\r")
        assert sshd.wait_typed(b"ls\r")


@pytest.mark.parametrize(
    ("event", "how"), [("GUEST_PANICKED", "it panicked"), ("SHUTDOWN", "it powered off")]
)
def test_a_system_that_stops_while_a_command_runs_is_told_by_qmp(
    guest, serving, shell_of, event, how
):
    shell = shell_of(serving(commands={"sleep": never_ends}))
    guest.ended = event
    with pytest.raises(HarnessError) as caught:
        shell.run("sleep", Deadline(SECONDS))
    assert caught.value.message == f"the system stopped while 'sleep' ran: {how} ({event})"


def test_a_system_that_goes_down_ends_its_ssh_server_first(guest, serving, shell_of):
    def power_off(channel) -> None:
        guest.ended = "SHUTDOWN"
        dies(channel)

    shell = shell_of(serving(commands={"poweroff": power_off}))
    with pytest.raises(HarnessError, match="stopped while 'poweroff' ran: it powered off"):
        shell.run("poweroff", Deadline(SECONDS))


def test_an_ssh_server_that_alone_is_gone_is_a_lost_connection(serving, shell_of):
    shell = shell_of(serving(commands={"pkill sshd": dies}))
    with pytest.raises(ConnectionLost, match="'pkill sshd'"):
        shell.run("pkill sshd", Deadline(SECONDS))


def test_qemu_that_dies_is_told(guest, serving, shell_of):
    shell = shell_of(serving(commands={"sleep": never_ends}))
    guest.alive = False
    with pytest.raises(QemuDied):
        shell.run("sleep", Deadline(SECONDS))


def test_a_login_waits_for_the_ssh_server(guest, serving, tmp_path: Path):
    guest.ended = None
    sshd = serving(hangs_up=True)
    seen = []

    def check() -> None:
        seen.append(1)
        sshd.hangs_up = False

    guest.check = check
    with try_to_log_in(guest, sshd, tmp_path) as connection:
        assert connection.alive
    assert seen


def test_a_system_without_an_ssh_server_is_a_timeout_of_its_phase(guest, serving, tmp_path: Path):
    guest.ended = None
    with pytest.raises(PhaseTimeout, match=r"a login over SSH \(the SSH server on") as caught:
        try_to_log_in(guest, serving(hangs_up=True), tmp_path, 0.3)
    assert caught.value.phase == "boot"


def test_another_key_of_user_or_host_is_told_at_once(guest, serving, tmp_path: Path):
    guest.ended = None
    sshd = serving()
    with pytest.raises(LoginRefused):
        try_to_log_in(guest, sshd, tmp_path, key=OTHER)
    told = sshd.host_key
    sshd.host_key = OTHER
    (tmp_path / "id").unlink()
    KEY.write(tmp_path / "id")
    console = SystemConsole(guest, None)
    watch = MachineWatch(guest, None, console)
    login = Login("root", tmp_path / "id", told.public)
    with pytest.raises(HostKeyDiffers):
        log_in(login, sshd.address, console, watch, "boot", Deadline(SECONDS))
