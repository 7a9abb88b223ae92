"""The time of this process: time while it is stopped does not count.

A host may be suspended, a virtual machine paused, or a process tree stopped by SIGSTOP. Then the
monotonic clock may go on, but nothing that we wait for can happen. A deadline that counted such
time would blame the guest, although the host stood still.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK_SECONDS = 0.5
GAP_SECONDS = 3.0  # a longer gap between two ticks means that we were stopped; load makes none


class RunningClock:
    """The seconds of ``monotonic``, minus those in which nothing called :meth:`now`.

    Something must call it every ``TICK_SECONDS``, whatever else happens; :func:`now` ensures that
    for the whole process. The first call after a gap notices the gap.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = monotonic()
        self._lost = 0.0

    def now(self) -> float:
        """Seconds since some moment."""
        with self._lock:
            seen = self._monotonic()
            gap = seen - self._seen
            if gap > GAP_SECONDS:
                self._lost += gap - TICK_SECONDS
            self._seen = seen
            return seen - self._lost


class _Ticking:
    """The clock of this process, and the thread that calls it from its first use on."""

    def __init__(self) -> None:
        self._clock = RunningClock()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def now(self) -> float:
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._tick, name="clock", daemon=True)
                    self._thread.start()
        return self._clock.now()

    def _tick(self) -> None:
        never = threading.Event()
        while not never.wait(TICK_SECONDS):
            self._clock.now()


now = _Ticking().now
"""Seconds since some moment, without those in which this process was stopped."""
