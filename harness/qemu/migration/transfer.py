"""Take the device state out of a stopped QEMU, and give it to another one, over QMP.

Guest memory stays where it is: ``x-ignore-shared`` leaves out what QEMU maps shared, and the
harness has that as a file (QEMU ``migration/ram.c``, since 4.0). The state goes through a socket
without a name, which QEMU gets from the monitor (``getfd``), so no QEMU starts a program or opens a
file.
"""

from __future__ import annotations

import socket

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.qemu.monitor import Monitor

MOST_BYTES = 64 << 20  # a state without memory has some ten thousand
_NAME = "state"
_URI = f"fd:{_NAME}"
_RECEIVE_BYTES = 1 << 16
_ANSWER_SECONDS = 30.0  # QEMU answers at once, however long the migration takes
_POLL_SECONDS = 0.02  # how often an incoming migration is asked whether it is done
_DONE, _FAILED = "completed", ("failed", "cancelled")


def save_state(monitor: Monitor, deadline: Deadline) -> bytes:
    """The device state of a stopped machine, without its memory.

    Only QMP's ``cont`` lets that machine go on, because QEMU has given its disks away.
    Raises ProtocolError if QEMU refuses or does not finish.
    """
    with _lent(monitor, deadline) as ours:
        monitor.execute("migrate", {"uri": _URI}, deadline=deadline)
        state = _received(ours, deadline)
    _completed(monitor, "save its state", deadline)
    return state


def load_state(monitor: Monitor, state: bytes, deadline: Deadline) -> None:
    """Give ``state`` to a QEMU that was started with ``incoming``, and has the memory already.

    Raises ProtocolError if QEMU refuses it or does not finish.
    """
    with _lent(monitor, deadline) as ours:
        monitor.execute("migrate-incoming", {"uri": _URI}, deadline=deadline)
        ours.settimeout(deadline.remaining or None)
        try:
            ours.sendall(state)
        except OSError as error:
            raise ProtocolError(f"QEMU did not take the state: {error}") from error
    _completed(monitor, "load a state", deadline)


def _lent(monitor: Monitor, deadline: Deadline) -> socket.socket:
    """Our end of a connection whose other end only QEMU has."""
    capability = {"capability": "x-ignore-shared", "state": True}
    monitor.execute("migrate-set-capabilities", {"capabilities": [capability]}, deadline=deadline)
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            monitor.lend(_NAME, theirs.fileno(), deadline=deadline)
    except BaseException:
        ours.close()
        raise
    return ours


def _received(sock: socket.socket, deadline: Deadline) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while size <= MOST_BYTES:
        sock.settimeout(deadline.remaining or None)
        try:
            piece = sock.recv(_RECEIVE_BYTES)
        except TimeoutError:
            raise ProtocolError(
                f"QEMU did not save its state in {deadline.seconds:.0f} s"
            ) from None
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    raise ProtocolError(f"QEMU's state has more than {MOST_BYTES >> 20} MiB")


def _completed(monitor: Monitor, what: str, deadline: Deadline) -> None:
    """Wait until QEMU says how the migration ended."""
    while True:
        answer = monitor.execute("query-migrate", deadline=Deadline(_ANSWER_SECONDS))
        status = answer.get("status")
        if status == _DONE:
            return
        if status in _FAILED or deadline.expired:
            why = answer.get("error-desc", f"it is {status}")
            raise ProtocolError(f"QEMU could not {what}: {why}")
        monitor.wait_event((), deadline.at_most(_POLL_SECONDS))
