"""How commands reach the system that is to crash."""

from __future__ import annotations

import re
from typing import Protocol

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.machine.system.console import SystemConsole
from harness.phase import Phase

PROMPT = "zharness# "

_STATUS = "zharness: status "


class Shell(Protocol):
    """A shell of the system. Both methods raise QemuDied if QEMU ends on its own."""

    def run(self, command: str, deadline: Deadline) -> str:
        """Run ``command`` to its end; returns what it printed.

        Raises HarnessError if its exit status is not 0, PhaseTimeout if it does not end.
        """

    def send(self, command: str) -> None:
        """Start a command that does not return, because it crashes the system."""


class ConsoleShell:
    """The shell that ``images/crash/init`` starts on the console; its prompt has come.

    The output of a command includes kernel messages that came meanwhile.
    """

    def __init__(self, console: SystemConsole) -> None:
        self._console = console

    def run(self, command: str, deadline: Deadline) -> str:
        separator = "" if command.rstrip().endswith("&") else ";"
        self._console.type(f'{command}{separator} echo "{_STATUS}$?"')
        if self._console.expect([rf"{_STATUS}(\d+)\r?\n"], deadline) is None:
            raise self._console.timeout(Phase.CRASH, f"'{command}' to end", deadline)
        printed, ending = self._console.before, self._console.matched
        self._console.expect([re.escape(PROMPT)], deadline)
        status = ending.strip().removeprefix(_STATUS)
        if status != "0":
            said = " / ".join(printed.strip().splitlines()[-3:]) or "nothing"
            raise HarnessError(
                f"'{command}' failed in the system to be crashed (status {status}): {said}"
            )
        return printed

    def send(self, command: str) -> None:
        self._console.type(command)
