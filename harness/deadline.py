"""One deadline, made once and passed down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness import clock

_Found = TypeVar("_Found")


class Deadline:
    """A moment by which something must have happened, on a clock that stops when we are stopped.

    >>> Deadline(60).expired
    False
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = clock.now() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._at - clock.now())

    @property
    def expired(self) -> bool:
        return self.remaining == 0.0

    def at_most(self, seconds: float) -> Deadline:
        """A deadline ``seconds`` from now, or this one if that is earlier."""
        return Deadline(min(seconds, self.remaining))

    def wait(self, attempt: Callable[[float], _Found]) -> _Found:
        """Repeat ``attempt`` until its result is true or the deadline has passed; return that.

        ``attempt`` gets the seconds that it may wait at most. If the process was stopped meanwhile
        and the attempt ended too early, it is repeated.
        """
        while True:
            found = attempt(self.remaining)
            if found or self.expired:
                return found
