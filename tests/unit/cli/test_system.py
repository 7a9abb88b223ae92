"""zharness system: one command in a system, or a shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cli.app import app
from harness.cli.commands import system
from harness.errors import UsageError
from harness.machine.system.ssh_shell import SshShell
from harness.ssh.command import Completed


class FakeShell(SshShell):
    """Knows how the command ends."""

    def __init__(self, done: Completed) -> None:
        self.done, self.ran = done, ""

    def completed(self, command: str, deadline: object, stdin: bytes = b"") -> Completed:
        self.ran = command
        return self.done


@pytest.fixture
def zharness() -> Callable[..., int]:
    def call(*arguments: str) -> int:
        return app(list(arguments), standalone_mode=False)

    return call


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> FakeShell:
    made = FakeShell(Completed(0, b"", b""))

    @contextmanager
    def up(*_: Any, **__: Any) -> Any:
        yield SimpleNamespace(system=SimpleNamespace(shell=made))

    monkeypatch.setattr(system, "_up", up)
    return made


@pytest.mark.parametrize(("status", "code"), [(0, 0), (7, 7), (None, 255)])
def test_the_exit_code_is_the_commands(zharness, shell, status, code):
    shell.done = Completed(status, b"", b"")
    assert zharness("system", "run", "debian", "--", "sh", "-c", "exit 7; a 'b'") == code
    assert shell.ran == """sh -c 'exit 7; a '"'"'b'"'"''"""


def test_output_is_bytes_for_another_program(zharness, shell, capfdbinary):
    shell.done = Completed(0, b"\x00\xff\x1b[31m", b"warning \x1b[31m\n")
    assert zharness("system", "run", "debian", "--", "cat", "x") == 0
    out, err = capfdbinary.readouterr()
    assert out == b"\x00\xff\x1b[31m"
    assert b"warning" in err
    assert b"\x1b" not in err


def test_json_tells_the_status_and_both_outputs(zharness, shell, capsys):
    shell.done = Completed(3, b"out\n", b"err\n")
    assert zharness("system", "run", "debian", "--json", "--", "x") == 3
    told = json.loads(capsys.readouterr().out)
    assert told == {"status": 3, "stdout": "out\n", "stderr": "err\n"}


def test_a_shell_needs_a_terminal(zharness, shell):
    with pytest.raises(UsageError, match="needs a terminal"):
        zharness("system", "shell", "debian")


def test_a_system_without_ssh_is_refused(zharness, monkeypatch):
    @contextmanager
    def up(*_: Any, **__: Any) -> Any:
        yield SimpleNamespace(system=SimpleNamespace(shell=object()))

    monkeypatch.setattr(system, "_up", up)
    with pytest.raises(UsageError, match="no SSH server"):
        zharness("system", "run", "panic", "--", "ls")
