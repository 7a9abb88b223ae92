"""Requests to end as readable events, for a loop that must not be interrupted within a step."""

from __future__ import annotations

import signal
import socket
from types import FrameType

from harness.closing import Closing
from harness.host.signals import ENDING, Requests


class Interrupts(Closing):
    """Counts requests to end instead of raising; ``fd`` is readable when one comes.

    For the main thread only, because of signals.
    """

    def __init__(self) -> None:
        self.requests = Requests()
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        self.fd = self._reader.fileno()
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._former = {
            number: signal.signal(number, self._counted)
            for number in ENDING
            if signal.getsignal(number) is not signal.SIG_IGN
        }

    def close(self) -> None:
        if self.fd >= 0:
            for number, former in self._former.items():
                signal.signal(number, former)
            signal.set_wakeup_fd(self._former_fd)
            self._reader.close()
            self._writer.close()
            self.fd = -1

    def read(self) -> None:
        """Take what made ``fd`` readable."""
        self._reader.recv(4096)

    def _counted(self, number: int, frame: FrameType | None) -> None:
        self.requests.add(number)
