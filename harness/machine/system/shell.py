"""How commands reach the system that is to crash."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path
from typing import Protocol

from harness.deadline import Deadline
from harness.errors import HarnessError, ProtocolError
from harness.machine.system.console import SystemConsole
from harness.phase import Phase

PROMPT = "zharness# "

_STATUS = "zharness: status "
_BLOCK = 360  # bytes of a file in one line: busybox's shell reads lines of 1024 characters
_TRIES = 3  # a kernel message in the middle of a line damages it
_SUM = re.compile(r"(?m)^([0-9a-f]{64})\r?$")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


class Shell(Protocol):
    """A shell of the system. All methods raise QemuDied if QEMU ends on its own."""

    def run(self, command: str, deadline: Deadline) -> str:
        """Run ``command`` to its end; returns what it printed.

        Raises HarnessError if its exit status is not 0, PhaseTimeout if it does not end.
        """

    def send(self, command: str) -> None:
        """Start a command that does not return, because it crashes the system."""

    def put(self, local: Path, remote: str, deadline: Deadline) -> None:
        """Copy the file ``local`` into the system; what is at ``remote`` is replaced.

        Raises HarnessError if it does not arrive whole, PhaseTimeout if it takes too long.
        """

    def get(self, remote: str, local: Path, deadline: Deadline) -> None:
        """Copy the file ``remote`` out of the system; raises as ``put`` does."""


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

    def put(self, local: Path, remote: str, deadline: Deadline) -> None:
        """For small files: each line of the console takes 360 bytes."""
        content = local.read_bytes()
        self.run(f": > {remote}", deadline)
        for at in range(0, len(content), _BLOCK):
            text = base64.b64encode(content[at : at + _BLOCK]).decode()
            self.run(f"echo {text} | base64 -d >> {remote}", deadline)
        if self._digest(remote, deadline) != hashlib.sha256(content).hexdigest():
            raise ProtocolError(f"{local} did not arrive whole in the system, as {remote}")

    def get(self, remote: str, local: Path, deadline: Deadline) -> None:
        """For small files, as ``put``."""
        digest = self._digest(remote, deadline)
        for _ in range(_TRIES):
            content = _decoded(self.run(f"base64 {remote}", deadline))
            if hashlib.sha256(content).hexdigest() == digest:
                local.write_bytes(content)
                return
        raise ProtocolError(f"{remote} was damaged {_TRIES} times on its way out of the system")

    def _digest(self, remote: str, deadline: Deadline) -> str:
        """SHA-256 of a file in the system; raises ProtocolError if it is damaged on its way."""
        for _ in range(_TRIES):
            found = _SUM.search(self.run(f"sha256sum < {remote} | cut -c -64", deadline))
            if found is not None:
                return found[1]
        raise ProtocolError(f"the digest of {remote} was damaged {_TRIES} times on its way here")


def _decoded(output: str) -> bytes:
    """What is in lines of base64; b"" if that is damaged."""
    lines = (line.strip() for line in output.splitlines())
    text = "".join(line for line in lines if _BASE64.fullmatch(line))
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
