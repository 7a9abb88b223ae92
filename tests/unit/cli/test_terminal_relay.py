"""The user's terminal and one in a system, connected."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pexpect
import pytest

from tests.support.command_line import relayed_echo

NEVER = "0"


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[pexpect.spawn]:
    looks = getattr(request, "param", NEVER)
    program = ["-m", relayed_echo.__name__, looks]
    child = pexpect.spawn(sys.executable, program, timeout=60, dimensions=(24, 80))
    yield child
    child.close(force=True)


def test_every_key_goes_to_the_system(terminal: pexpect.spawn):
    terminal.expect_exact("ready\r\n")
    for key in (b"a", b"\x03", b"\x04", b"\x1b", b"\r", b"\x1a"):
        terminal.send(key)
        terminal.expect_exact(f"key {key[0]}\r\n")
    terminal.send(b"q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_the_system_is_told_the_size(terminal: pexpect.spawn):
    terminal.expect_exact("ready\r\n")
    terminal.setwinsize(40, 132)
    terminal.expect_exact("size 132x40\r\n")
    terminal.send(b"q")
    terminal.expect(pexpect.EOF)


@pytest.mark.parametrize("terminal", ["30"], indirect=True)
def test_a_system_that_stops_ends_it_and_gives_the_terminal_back(terminal: pexpect.spawn):
    terminal.expect_exact("ready\r\n")
    terminal.expect_exact("the system stopped: it panicked\r\n")  # a line end again: not raw
    terminal.expect(pexpect.EOF)
