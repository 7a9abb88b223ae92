"""Ctrl-C as something to read, for a loop that must not be torn apart in the middle of a step."""

from __future__ import annotations

import signal
import socket
from types import FrameType

from harness.closing import Closing


class Interrupts(Closing):
    """Counts SIGINT instead of raising KeyboardInterrupt; ``fd`` is readable when one comes.

    For the main thread only, as signals are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        self.fd = self._reader.fileno()
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._former = signal.signal(signal.SIGINT, self._counted)

    def close(self) -> None:
        if self.fd >= 0:
            signal.signal(signal.SIGINT, self._former)
            signal.set_wakeup_fd(self._former_fd)
            self._reader.close()
            self._writer.close()
            self.fd = -1

    def read(self) -> None:
        """Take what made ``fd`` readable."""
        self._reader.recv(4096)

    def _counted(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
