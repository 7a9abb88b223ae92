"""A full Debian over SSH: nothing is lost, and what goes wrong is told in its class."""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.images.system.debian import DebianSystem
from harness.machine.system.running import RunningSystem
from harness.qemu.network import HOST, ssh_port
from harness.ssh.connection import SshConnection
from harness.ssh.errors import (
    ConnectionLost,
    HostKeyDiffers,
    LoginRefused,
    TooMuchOutput,
    TransferFailed,
)
from harness.ssh.handshake import Login
from harness.ssh.keys import KeyPair
from tests.support.guests.full_system import booted, debian, login_of

pytestmark = pytest.mark.e2e

SECONDS = 300
MIB = 1 << 20
COMMANDS, FILE_MIB, STOPS = 1000, 200, 100


@pytest.fixture(scope="module")
def system() -> DebianSystem:
    return debian()


@pytest.fixture(scope="module")
def direct(
    system: DebianSystem, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSystem]:
    with booted(system, tmp_path_factory.mktemp("direct"), direct=True) as running:
        yield running


def run_many(running: RunningSystem, count: int) -> None:
    for number in range(count):
        assert running.shell.run(f"echo {number}", Deadline(SECONDS)) == f"{number}\n"


def send_there_and_back(running: RunningSystem, directory: Path) -> None:
    piece = random.Random(1).randbytes(1 << 20)
    with (directory / "here").open("wb") as file:
        for _ in range(FILE_MIB):
            file.write(piece)
    running.shell.put(directory / "here", "/root/there", Deadline(10 * SECONDS))
    digest = running.shell.run("sha256sum < /root/there", Deadline(SECONDS)).split()[0]
    with (directory / "here").open("rb") as file:
        assert digest == hashlib.file_digest(file, "sha256").hexdigest()
    running.shell.get("/root/there", directory / "back", Deadline(10 * SECONDS))
    with (directory / "back").open("rb") as file:
        assert digest == hashlib.file_digest(file, "sha256").hexdigest()


def test_nothing_is_lost_while_the_machine_is_played(system: DebianSystem, tmp_path: Path):
    """Loaded from its own disk, with stops of the machine in between."""
    with booted(system, tmp_path, direct=False) as running:
        run_many(running, COMMANDS)
        send_there_and_back(running, tmp_path)
        assert running.session is not None
        for number in range(STOPS):
            running.session.settle(Deadline(SECONDS))  # stops it, plays, and lets it go on
            assert running.shell.run(f"echo {number}", Deadline(SECONDS)) == f"{number}\n"


def test_nothing_is_lost_when_the_machine_stands_still_for_a_while(
    system: DebianSystem, tmp_path: Path
):
    with booted(system, tmp_path, direct=True) as running:
        monitor = running.qemu.monitor
        for number in range(STOPS):
            monitor.execute("stop", deadline=Deadline(SECONDS))
            monitor.execute("cont", deadline=Deadline(SECONDS))
            assert running.shell.run(f"echo {number}", Deadline(SECONDS)) == f"{number}\n"


def test_two_systems_at_once_do_not_meet(system: DebianSystem, tmp_path: Path):
    with (
        booted(system, tmp_path / "one", direct=True, cpus=1) as one,
        booted(system, tmp_path / "two", direct=False, cpus=1) as two,
    ):
        one.shell.run("touch /root/one", Deadline(SECONDS))
        two.shell.run("touch /root/two", Deadline(SECONDS))
        for _ in range(COMMANDS // 10):
            assert one.shell.run("ls /root", Deadline(SECONDS)) == "one\n"
            assert two.shell.run("ls /root", Deadline(SECONDS)) == "two\n"


def test_a_dead_ssh_server_is_a_lost_connection(system: DebianSystem, tmp_path: Path):
    with (
        booted(system, tmp_path, direct=True) as running,
        pytest.raises(ConnectionLost, match=r"(lost|ended) \w+ 'pkill -KILL sshd'") as caught,
    ):
        running.shell.run("pkill -KILL sshd", Deadline(SECONDS))
    assert "\n" not in caught.value.message


def test_commands_give_their_output_and_their_status(direct: RunningSystem):
    assert direct.shell.run("uname -m", Deadline(SECONDS)) == "s390x\n"
    with pytest.raises(HarnessError, match=r"'exit 3' failed in the system \(status 3\)"):
        direct.shell.run("exit 3", Deadline(SECONDS))
    with pytest.raises(HarnessError, match="a signal ended it"):
        direct.shell.run("kill -KILL $$", Deadline(SECONDS))


def test_what_goes_on_in_the_background_is_not_waited_for(direct: RunningSystem):
    direct.shell.run("sleep 600 &", Deadline(SECONDS))
    assert direct.shell.run("pgrep -xc sleep", Deadline(SECONDS)) == "1\n"


def test_files_go_both_ways(direct: RunningSystem, tmp_path: Path):
    data = bytes(range(256)) * 4096 * 4
    (tmp_path / "here").write_bytes(data)
    direct.shell.put(tmp_path / "here", "/root/there", Deadline(SECONDS))
    digest = direct.shell.run("sha256sum < /root/there", Deadline(SECONDS)).split()[0]
    assert digest == hashlib.sha256(data).hexdigest()
    direct.shell.get("/root/there", tmp_path / "back", Deadline(SECONDS))
    assert (tmp_path / "back").read_bytes() == data


def test_a_full_disk_of_the_guest_is_told_and_leaves_nothing(direct: RunningSystem, tmp_path: Path):
    (tmp_path / "big").write_bytes(bytes(4 * MIB))
    direct.shell.run("mount -t tmpfs -o size=1m none /mnt", Deadline(SECONDS))
    with pytest.raises(TransferFailed, match="big cannot be put to /mnt/x: no space is left there"):
        direct.shell.put(tmp_path / "big", "/mnt/x", Deadline(SECONDS))
    assert direct.shell.run("ls -A /mnt", Deadline(SECONDS)) == ""


def test_an_output_without_an_end_is_an_error_and_others_follow(direct: RunningSystem):
    with pytest.raises(TooMuchOutput, match="'yes' printed more than 8 MiB"):
        direct.shell.run("yes", Deadline(SECONDS))
    assert direct.shell.run("echo on", Deadline(SECONDS)) == "on\n"


def open_to(running: RunningSystem, login: Login) -> SshConnection:
    port = ssh_port(running.qemu.monitor, Deadline(SECONDS))
    return SshConnection.open(HOST, port, login, Deadline(SECONDS))


def test_another_key_is_refused(direct: RunningSystem, system: DebianSystem, tmp_path: Path):
    """By the genuine sshd; the system lets its own user in meanwhile."""
    KeyPair.make().write(tmp_path / "id")
    with pytest.raises(LoginRefused):
        open_to(direct, replace(login_of(system), key=tmp_path / "id"))
    with pytest.raises(HostKeyDiffers):
        open_to(direct, replace(login_of(system), host_key=KeyPair.make().public))
    open_to(direct, login_of(system)).close()


def test_the_guest_reaches_nothing(direct: RunningSystem):
    """Neither the host, which listens, nor the host's name server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reach = f"timeout 10 bash -c 'exec 3<>/dev/tcp/10.0.2.2/{port}'"
        with pytest.raises(HarnessError, match="failed in the system"):
            direct.shell.run(reach, Deadline(SECONDS))
        listener.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_system_that_panics_while_a_command_runs_is_told_in_one_line(
    system: DebianSystem, tmp_path: Path
):
    with (
        booted(system, tmp_path, direct=True) as running,
        pytest.raises(HarnessError, match="the system stopped while 'echo c") as caught,
    ):
        running.shell.run("echo c > /proc/sysrq-trigger", Deadline(SECONDS))
    assert "it panicked (GUEST_PANICKED)" in caught.value.message
    assert "\n" not in caught.value.message
