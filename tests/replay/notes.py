"""The journal, as a list."""

from __future__ import annotations

from contextlib import contextmanager

from harness.deadline import Deadline
from tests.replay.record import SECONDS


class Notes:
    """The journal, as a list."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []

    @contextmanager
    def phase(self, name):
        yield Deadline(SECONDS)

    def note(self, event, /, **details):
        self.events.append((event, details))
