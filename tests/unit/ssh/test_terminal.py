from __future__ import annotations

import select

import pytest

from harness.deadline import Deadline
from harness.ssh.errors import ConnectionLost
from harness.ssh.terminal import Size, Terminal
from tests.support.guests.sshd import SECONDS, prints


def read_all(terminal: Terminal) -> bytes:
    text = b""
    while piece := terminal.read():
        text += piece
    return text


def test_a_person_types_into_a_shell(serving, connected):
    sshd = serving()
    with connected(sshd).terminal("xterm", Size(), Deadline(SECONDS)) as terminal:
        terminal.write(b"uname\r")
        assert sshd.wait_typed(b"uname\r")
        ready, _, _ = select.select([terminal], [], [], SECONDS)
        assert ready
        assert terminal.read() == b"uname\r"
        terminal.resize(Size(columns=132, rows=50))
        assert sshd.wait_typed(b"resize 132 50\n")
        assert terminal.status is None


def test_a_command_on_a_terminal_ends_with_its_status(serving, connected):
    connection = connected(serving(commands={"top": prints(b"text", status=3)}))
    with connection.terminal("xterm", Size(), Deadline(SECONDS), "top") as terminal:
        assert read_all(terminal) == b"text"
        assert Deadline(SECONDS).wait(lambda _: terminal.status == 3)


def test_a_waiting_shell_gets_commands_and_nobody_waits_for_them(serving, connected):
    sshd = serving()
    with connected(sshd).waiting_shell(Deadline(SECONDS)) as shell:
        shell.send("echo c > /proc/sysrq-trigger")
        assert sshd.wait_typed(b"echo c > /proc/sysrq-trigger\n")


def test_a_waiting_shell_whose_system_is_gone_says_so(serving, connected):
    connection = connected(serving())
    with connection.waiting_shell(Deadline(SECONDS)) as shell:
        connection.close()
        with pytest.raises(ConnectionLost):
            shell.send("true")
