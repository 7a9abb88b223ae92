"""From a port to a connection whose server and user know each other."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from paramiko import AuthenticationException, PKey, SSHException, Transport

from harness.deadline import Deadline
from harness.printable import printable
from harness.ssh.errors import HostKeyDiffers, LoginRefused, NotYetUp
from harness.ssh.keys import private_key, public_key

# what a server sends is told by our errors, not by lines on the user's terminal
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# paramiko's names of the signatures that a key of type ssh-rsa makes (RFC 8332)
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class Login:
    """Who logs in, and where: ``key`` is the file of a private key without a passphrase.

    ``host_key`` is the server's public key as a line, the only one that is accepted.
    """

    user: str
    key: Path
    host_key: str


def reach(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection to the port; raises NotYetUp if nobody takes it."""
    try:
        sock = socket.create_connection((host, port), max(deadline.remaining, 0.001))
    except OSError as error:
        raise NotYetUp(f"nothing answers on {host} port {port}: {error}") from error
    # each message is small and is waited for: without this each would wait for an acknowledgement
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def log_in(
    transport: Transport, where: str, login: Login, patience: float, deadline: Deadline
) -> None:
    """Agree on keys, compare the server's, and log in with the user's.

    ``patience``: seconds in which the server has to send its first line. No other key is tried,
    and no agent and no password is asked. Raises NotYetUp if the server says nothing in time or
    hangs up, HostKeyDiffers, LoginRefused; UsageError if a key of ``login`` is none.
    """
    expected, own = public_key(login.host_key), private_key(login.key)
    _agree(transport, where, expected, patience, deadline)
    found = transport.get_remote_server_key()
    if (found.get_name(), found.asbytes()) != (expected.get_name(), expected.asbytes()):
        raise HostKeyDiffers(
            f"{where} has the host key {_told(found)} instead of {_told(expected)}",
            hint="another server listens there, or its host key was made again",
        )
    transport.auth_timeout = deadline.remaining
    try:
        missing = transport.auth_publickey(login.user, own)
    except AuthenticationException as error:
        if not transport.is_active() or deadline.expired:
            raise _hung_up(where, "during the login", error) from error
        raise _refused(where, login) from error
    except (SSHException, EOFError, OSError) as error:
        raise _hung_up(where, "during the login", error) from error
    if missing:
        raise _refused(where, login, f"it wants {', '.join(missing)}, too")


def _agree(
    transport: Transport, where: str, expected: PKey, patience: float, deadline: Deadline
) -> None:
    options = transport.get_security_options()
    name = expected.get_name()
    first = _RSA_SIGNATURES if name == "ssh-rsa" else (name,)
    options.key_types = (*first, *(each for each in options.key_types if each not in first))
    transport.banner_timeout = max(min(patience, deadline.remaining), 0.001)
    transport.handshake_timeout = max(deadline.remaining, 0.001)
    try:
        transport.start_client(timeout=deadline.remaining)
    except (SSHException, EOFError, OSError) as error:
        if isinstance(error.__context__, TimeoutError):  # while the first line was waited for
            raise NotYetUp(f"{where} says nothing") from error
        raise _hung_up(where, "before the keys were agreed on", error) from error
    if not transport.initial_kex_done:
        raise NotYetUp(f"{where} did not agree on keys in {deadline.seconds:.0f} s")


def _told(key: PKey) -> str:
    return f"{key.get_name()} {key.fingerprint}"


def _hung_up(where: str, when: str, error: Exception) -> NotYetUp:
    why = f": {printable(str(error))}" if str(error) else ""
    return NotYetUp(f"{where} gave no login: the connection ended {when}{why}")


def _refused(where: str, login: Login, why: str = "") -> LoginRefused:
    return LoginRefused(
        f"{where} does not let {login.user} in with the key {login.key}"
        + (f": {printable(why)}" if why else ""),
        hint=f"its public key has to be in ~{login.user}/.ssh/authorized_keys of the system",
    )
