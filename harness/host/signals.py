"""The signals that ask a process to end: Ctrl-C, SIGTERM and SIGHUP.

Python delivers signals to the main thread only (``signal``), so this module is for that thread.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import Signals
from types import FrameType

from harness.closing import Closing

ENDING = (Signals.SIGINT, Signals.SIGTERM, Signals.SIGHUP)
# a closing terminal and a service manager send several at once; a person takes longer
SAME_REQUEST_SECONDS = 1.0
_BY_SIGNAL = 128  # a shell's exit code of a process is this plus the signal's number


class Interrupted(KeyboardInterrupt):
    """The signal ``number`` asked us to end."""

    def __init__(self, number: int) -> None:
        self.number = Signals(number)
        super().__init__(f"interrupted by {self.number.name}")


def signal_of(error: KeyboardInterrupt) -> Signals:
    """The signal behind an interrupt. Without :class:`Ending`, Python raises it for SIGINT only."""
    return error.number if isinstance(error, Interrupted) else Signals.SIGINT


def exit_code_of(number: int) -> int:
    """The shell's exit code of a process that a signal ended: 130, 143 or 129."""
    return _BY_SIGNAL + number


class Requests:
    """The requests to end so far; ``first`` is the signal of the first one."""

    def __init__(self) -> None:
        self.first: Signals | None = None
        self.count = 0
        self._since = 0.0

    def add(self, number: int) -> None:
        """Count a signal, unless it belongs to the same request as the one before."""
        if self.first is None:
            self.first, self._since = Signals(number), time.monotonic()
        elif number != signal.SIGINT and time.monotonic() - self._since < SAME_REQUEST_SECONDS:
            return
        self.count += 1


class Ending(Closing):
    """Raises :class:`Interrupted` at the first request; a second one ends the process at once.

    A signal that was ignored before, as with nohup(1), stays ignored unless ``always``.
    """

    def __init__(self, *, always: bool = False) -> None:
        self.requests = Requests()
        self._former = {
            number: signal.signal(number, self._take)
            for number in ENDING
            if always or signal.getsignal(number) is not signal.SIG_IGN
        }

    def close(self) -> None:
        while self._former:
            number, former = self._former.popitem()
            signal.signal(number, signal.SIG_DFL if former is None else former)

    def _take(self, number: int, frame: FrameType | None) -> None:
        before = self.requests.count
        self.requests.add(number)
        if self.requests.count > 1:
            os._exit(exit_code_of(number))  # the children end, too: see harness.host.child
        if before == 0:
            raise Interrupted(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Let such a signal take effect only at the end of the block, so that its work is complete.

    Signals that Python cannot handle end the process as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    pending: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        pending.append(number)

    former = {number: signal.getsignal(number) for number in ENDING}
    taken = {number: handler for number, handler in former.items() if callable(handler)}
    for number in taken:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
        if pending:
            signal.raise_signal(pending[0])
