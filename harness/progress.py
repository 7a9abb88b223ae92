"""How long-running code reports its progress; a front end shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One task in progress."""

    def update(self, done: float, note: str = "") -> None:
        """Set the absolute amount done, in the task's unit, and an optional short note."""


class Progress(Protocol):
    """Where tasks are announced. ``total`` is in ``unit``; None if unknown."""

    def task(
        self, what: str, total: float | None = None, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Announce a task for the duration of a ``with`` block."""


class _Silent:
    def update(self, done: float, note: str = "") -> None:
        pass


class NoProgress:
    """Draws nothing: for tests and for ``--json``."""

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield _Silent()
