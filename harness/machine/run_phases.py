"""How the machines report their phase to their caller, and get their deadlines."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from harness.deadline import Deadline
from harness.phase import Phase


class RunPhases(Protocol):
    """The run's phases and journal, as the machines see them."""

    def phase(self, phase: Phase) -> AbstractContextManager[Deadline]:
        """Enter a phase, and get its deadline."""

    def note(self, event: str, /, **details: object) -> None:
        """Write one line to the journal."""
