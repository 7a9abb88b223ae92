"""Every exception that the harness raises on purpose.

::

    HarnessError              exit 3   the harness or its environment is at fault
    +-- UsageError            exit 2   the request is not valid
    |   +-- OverrideError              options or marks do not fit the scenario
    |   +-- UnknownNameError           nothing has this name
    +-- HostError             exit 3   this host lacks a tool, a version, memory or space
    +-- BuildError            exit 3   an image could not be built
    |   +-- ZiplRefused                a zipl that is under test did not prepare a disk
    +-- ProtocolError         exit 3   a peer (QMP, gdbstub, SCLP) broke its protocol
    +-- QemuDied              exit 3   a QEMU process ended on its own
    +-- NotLoaded             exit 3   QEMU's boot firmware did not load a disk
    +-- SshError              exit 3   an SSH server is gone or refuses (harness/ssh/errors.py)
    +-- PhaseTimeout          exit 3   a deadline passed; names the phase and what was awaited
    +-- EvidenceError         exit 3   an evidence directory, snapshot or image is damaged
        +-- LimitError                 it exceeds a limit that no genuine one reaches
        +-- UserSpaceCore              it is the core of a process, not the dump of a system

A wrong dump is not an exception: it is a finding (``harness.verify``), and exit code 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``zharness``; documented in README and ``zharness --help``."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    ERROR = 3
    KNOWN = 4  # night run, night diff: all that failed is known
    NO_ANSWER = 128  # bisect step: git bisect run takes lower codes as answers and stops at 128
    HUNG_UP = 129  # SIGHUP
    INTERRUPTED = 130  # Ctrl-C, SIGINT
    TERMINATED = 143  # SIGTERM


class HarnessError(Exception):
    """One clear line for the user, and optionally what to do next.

    ``message`` says what happened and to which file; ``hint`` says what to do about it.
    """

    exit_code = ExitCode.ERROR

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HarnessError):
    """The request is not valid: unknown scenario, contradictory sizes, missing file."""

    exit_code = ExitCode.USAGE


class UnknownNameError(UsageError):
    """Nothing has this name."""


class OverrideError(UsageError):
    """Options or marks that were given with a scenario do not fit it.

    ``fields`` are pairs of section and field of the schema; ``what`` says what is wrong with them.
    """

    def __init__(self, fields: Sequence[tuple[str, str]], what: str) -> None:
        self.fields, self.what = fields, what
        super().__init__(self.naming({}))

    def naming(self, names: Mapping[tuple[str, str], str]) -> str:
        """The message, with the names under which the fields were given."""
        called = (names.get(field, ".".join(field)) for field in self.fields)
        return f"{', '.join(called)}: {self.what}"


class HostError(HarnessError):
    """The host lacks something: a tool, a version, memory, disk space."""


class BuildError(HarnessError):
    """An image could not be built; the message names the image and the log."""


class ZiplRefused(BuildError):
    """A zipl that is under test did not prepare a disk; the message has its own words."""


class ProtocolError(HarnessError):
    """A peer sent an answer that its protocol does not allow."""


class FaultNotReached(HarnessError):
    """A dump system finished without having come to the place of a fault."""


class NotLoaded(HarnessError):
    """The boot firmware did not load the system on a disk."""


class QemuDied(HarnessError):
    """A QEMU process ended although nobody asked it to."""


class EvidenceError(HarnessError):
    """Stored evidence (a run, a snapshot, an image) is missing, foreign or damaged."""

    def without(self, name: str) -> str:
        """The message for use in another one that begins with the same ``name``."""
        return self.message.removeprefix(f"{name}: ")


class LimitError(EvidenceError):
    """An input has more content, or takes more memory or time, than any genuine one."""


class UserSpaceCore(EvidenceError):
    """A file is the core of a process in user space, not the dump of a system."""


class PhaseTimeout(HarnessError):
    """A deadline passed.

    ``phase`` is the run's phase, ``waited_for`` what had to happen, ``console_tail`` the last
    console lines of the guest, oldest first. ``state`` tells what the machine did at the deadline.
    """

    def __init__(
        self,
        phase: str,
        waited_for: str,
        seconds: float,
        console_tail: tuple[str, ...] = (),
        state: str = "",
    ) -> None:
        tail = "".join(f"\n  | {line}" for line in console_tail) if console_tail else " (nothing)"
        then = f"; {state}" if state else ""
        super().__init__(
            f"phase {phase}: waited {seconds:.0f} s for {waited_for}{then}; "
            f"last console lines:{tail}"
        )
        self.phase = phase
        self.waited_for = waited_for
        self.seconds = seconds
        self.console_tail = console_tail
