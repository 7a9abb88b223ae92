"""One monotonic deadline, made once and passed down."""

from __future__ import annotations

import time


class Deadline:
    """A moment on the monotonic clock by which something must have happened.

    >>> Deadline(60).expired
    False
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._at - time.monotonic())

    @property
    def expired(self) -> bool:
        return self.remaining == 0.0

    def at_most(self, seconds: float) -> Deadline:
        """A deadline ``seconds`` from now, or this one if that is earlier."""
        return Deadline(min(seconds, self.remaining))
