"""How the machines tell their caller what they are at, and learn how long they may take."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from harness.deadline import Deadline
from harness.phase import Phase


class RunPhases(Protocol):
    """The run's phases and journal, as the machines see them."""

    def phase(self, phase: Phase) -> AbstractContextManager[Deadline]:
        """Enter a phase; its time counts against the deadline that is given."""

    def note(self, event: str, /, **details: object) -> None:
        """Write one line to the journal."""
