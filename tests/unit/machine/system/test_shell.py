"""The shell on a console: input, output, and the end of each command."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.deadline import Deadline
from harness.errors import HarnessError, PhaseTimeout, ProtocolError, QemuDied
from harness.machine.system.console import SystemConsole
from harness.machine.system.shell import ConsoleShell
from tests.support.runs.running_system import SECONDS, Guest

SOON = 0.2  # in which what does not come does not come


@pytest.fixture
def shell(guest) -> ConsoleShell:
    return ConsoleShell(SystemConsole(guest, None))


def test_a_command_gives_what_it_printed(guest, shell):
    guest.say("one\r\n[ 0.1] the kernel's\r\ntwo\r\nzharness: status 0\r\nzharness# ")
    assert shell.run("ls", Deadline(SECONDS)) == "one\r\n[ 0.1] the kernel's\r\ntwo\r\n"
    assert guest.typed() == 'ls; echo "zharness: status $?"\n'


def test_one_command_after_another(guest, shell):
    guest.say("zharness: status 0\r\nzharness# two\r\nzharness: status 0\r\nzharness# ")
    assert shell.run("one", Deadline(SECONDS)) == ""
    assert shell.run("two", Deadline(SECONDS)) == "two\r\n"


def test_a_command_in_the_background_needs_no_separator(guest, shell):
    guest.say("zharness: status 0\r\nzharness# ")
    shell.run("spin & ", Deadline(SECONDS))
    assert guest.typed() == 'spin &  echo "zharness: status $?"\n'


def test_a_command_that_fails_says_how(guest, shell):
    guest.say("1\r\n2\r\n3\r\nno such file\r\nzharness: status 127\r\nzharness# ")
    with pytest.raises(HarnessError, match="'ls' failed") as caught:
        shell.run("ls", Deadline(SECONDS))
    assert caught.value.message.endswith("(status 127): 2 / 3 / no such file")


def test_a_command_that_fails_in_silence(guest, shell):
    guest.say("zharness: status 1\r\nzharness# ")
    with pytest.raises(HarnessError, match=r"\(status 1\): nothing$"):
        shell.run("false", Deadline(SECONDS))


def test_a_command_that_does_not_end_is_a_timeout(guest, shell):
    guest.say("still here\r\n")
    with pytest.raises(PhaseTimeout, match="'cat' to end") as caught:
        shell.run("cat", Deadline(SOON))
    assert caught.value.phase == "crash"


def test_a_command_that_does_not_come_back_is_only_typed(guest, shell):
    shell.send("echo c > /proc/sysrq-trigger")
    assert guest.typed() == "echo c > /proc/sysrq-trigger\n"


def test_a_console_that_ends_is_qemus_death(guest, shell):
    guest.sock.close()
    with pytest.raises(QemuDied, match="console ended"):
        shell.run("ls", Deadline(SECONDS))
    guest.alive = False
    with pytest.raises(QemuDied, match="ended on its own"):
        shell.run("ls", Deadline(SECONDS))


def test_the_machine_is_played_while_a_command_runs(guest):
    """The command needs an answer of the firmware, so it ends only if somebody plays."""

    def play(deadline, wait_seconds) -> bool:
        guest.say("done\r\nzharness: status 0\r\nzharness# ")
        return True

    shell = ConsoleShell(SystemConsole(guest, SimpleNamespace(play=play)))
    assert shell.run("reboot --later", Deadline(SECONDS)).endswith("done\r\n")


def test_a_machine_that_stands_is_played_no_more(guest):
    played = []
    session = SimpleNamespace(play=lambda deadline, wait_seconds: played.append(1))
    console = SystemConsole(guest, session)
    assert console.expect(["nothing"], Deadline(SOON)) is None
    assert console.stands
    assert played == [1]


class Busybox:
    """Types back what busybox would print; ``damaged`` outputs have a kernel message inside."""

    def __init__(self, guest, content: bytes = b"", damaged: int = 0) -> None:
        self.content, self._damaged, self._guest = content, damaged, guest
        guest.console.sendline = self._typed

    def _typed(self, line: str) -> None:
        command = line.partition("; echo")[0]
        out = ""
        if command.startswith(": >"):
            self.content = b""
        elif command.startswith("echo "):
            self.content += base64.b64decode(command.split()[1])
        elif command.startswith("sha256sum"):
            out = hashlib.sha256(self.content).hexdigest()
        elif command.startswith("base64 "):
            out = base64.encodebytes(self.content).decode().replace("\n", "\r\n")
        if out and self._damaged:
            self._damaged -= 1
            out = f"{out[:5]}[ 1.0] a message\r\n{out[5:]}"
        self._guest.say(f"[ 0.1] a message\r\n{out}\r\nzharness: status 0\r\nzharness# ")


@given(content=st.binary(max_size=2000))
def test_a_file_goes_into_the_system_and_out_of_it(content):
    with tempfile.TemporaryDirectory() as name, Guest.living(Path(name) / "log") as guest:
        local, back = Path(name) / "local", Path(name) / "back"
        local.write_bytes(content)
        system = Busybox(guest)
        shell = ConsoleShell(SystemConsole(guest, None))
        shell.put(local, "/there", Deadline(SECONDS))
        assert system.content == content
        shell.get("/there", back, Deadline(SECONDS))
        assert back.read_bytes() == content


def test_a_kernel_message_in_the_middle_does_no_harm(guest, shell, tmp_path):
    Busybox(guest, b"x" * 500, damaged=2)
    shell.get("/there", tmp_path / "back", Deadline(SECONDS))
    assert (tmp_path / "back").read_bytes() == b"x" * 500


def test_a_file_that_does_not_arrive_is_an_error(guest, shell, tmp_path):
    Busybox(guest, b"x" * 500, damaged=99)
    with pytest.raises(ProtocolError, match="damaged 3 times"):
        shell.get("/there", tmp_path / "back", Deadline(SECONDS))
    assert not (tmp_path / "back").exists()
    local = tmp_path / "local"
    local.write_bytes(b"y")
    Busybox(guest)
    typed = guest.console.sendline
    guest.console.sendline = lambda line: typed("true" if "base64 -d" in line else line)
    with pytest.raises(ProtocolError, match="did not arrive whole in the system, as /there"):
        shell.put(local, "/there", Deadline(SECONDS))
