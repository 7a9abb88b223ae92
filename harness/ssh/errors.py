"""What goes wrong between us and an SSH server.

::

    SshError
    +-- NotYetUp          no server answers; it may be starting
    +-- HostKeyDiffers    a server answers, and is not the one that we know
    +-- LoginRefused      the server does not accept the user's key
    +-- ConnectionLost    a connection that was there has ended
    +-- NotInTime         the deadline of an operation passed
    +-- TooMuchOutput     a command printed more than is kept
    +-- TransferFailed    one side cannot read or write a file
"""

from __future__ import annotations

from harness.errors import HarnessError


class SshError(HarnessError):
    """Something went wrong between us and an SSH server."""


class NotYetUp(SshError):
    """No SSH server answers; it may be starting."""


class HostKeyDiffers(SshError):
    """The server's host key is not the one that is expected; nothing was sent to it."""


class LoginRefused(SshError):
    """The server does not accept the user's key."""


class ConnectionLost(SshError):
    """The connection has ended: the server, or the machine that it runs on, is gone."""


class NotInTime(SshError):
    """The deadline of an operation passed before it ended."""


class TooMuchOutput(SshError):
    """A command printed more than is kept."""


class TransferFailed(SshError):
    """A file could not be put or gotten."""
