"""End a paramiko channel of which ``fileno`` was used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from paramiko import Channel


def end(channel: Channel) -> None:
    """Close ``channel``, whatever still comes.

    Channel.close closes the pipe behind ``fileno`` before it marks it as closed. Output that comes
    at this moment is written to that descriptor (paramiko 3 and 4, pipe.py): the whole connection
    ends with EBADF, or the byte goes into the file that has the same number by then.
    """
    for buffer in (channel.in_buffer, channel.in_stderr_buffer):
        buffer.set_event(Event())  # of nobody; under the lock with which it is fed
    channel.close()


@contextmanager
def ended(channel: Channel) -> Iterator[Channel]:
    """A channel for the duration of a ``with`` block."""
    try:
        yield channel
    finally:
        end(channel)
