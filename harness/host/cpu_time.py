"""A limit on the CPU time of a part of this program."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_AGAIN = 0.5  # seconds of CPU time after which the error is raised again, if somebody caught it


@contextmanager
def cpu_time_limit(seconds: float, error: Exception) -> Iterator[None]:
    """Raise ``error`` in a ``with`` block that takes more CPU time; only in the main thread.

    The wall clock does not count: on a host that is busy, or that was suspended, nothing takes too
    long. A regular expression that is being matched is interrupted, too (CPython
    Modules/_sre/sre_lib.h looks at signals). Limits are not nested.
    """

    def too_long(_: int, __: FrameType | None) -> NoReturn:
        raise error

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
