"""Progress on a terminal (bars), on anything else (lines), or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Task as BarTask
from rich.text import Text

from harness.cli.say import SafeConsole, tell
from harness.progress import NoProgress, Task
from harness.progress import Progress as ProgressProtocol

_REFRESHES = 4
"""A second. Rich draws all rows each time: ten times took 8 % of a CPU from the compiler."""


class _LeftColumn(ProgressColumn):
    """The time that a task still takes; empty if that is not known, or if the task is done."""

    max_refresh = 0.5  # seconds

    def render(self, task: BarTask) -> Text:
        if task.finished or task.time_remaining is None:
            return Text()
        left = timedelta(seconds=int(task.time_remaining))
        return Text(f"{left} left", style="progress.remaining")


class BarProgress:
    """A bar with an estimate per task, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]+"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            _LeftColumn(),
            console=console,
            refresh_per_second=_REFRESHES,
        )

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        with self._live():
            bar = _Bar(self._bars, self._bars.add_task(what, total=total, note=unit), unit)
            yield bar
            bar.finish()

    @contextmanager
    def _live(self) -> Iterator[None]:
        """Start the display with the first task and stop it with the last."""
        if self._bars.live.is_started:
            yield
            return
        try:
            with self._bars:
                yield
        finally:
            for number in self._bars.task_ids:
                self._bars.remove_task(number)


class _Bar:
    """One task of rich's; it is known by its id, which is no position in rich's list of tasks."""

    def __init__(self, bars: Progress, number: TaskID, unit: str) -> None:
        self._bars, self._number, self._unit = bars, number, unit
        self._done = 0.0

    def update(self, done: float, note: str = "") -> None:
        self._done = done
        self._bars.update(self._number, completed=done, note=note or self._unit)

    def finish(self) -> None:
        """Show it as complete, whatever its total was thought to be."""
        done = self._done or 1
        self._bars.update(self._number, total=done, completed=done, note="")


class LineProgress:
    """A line when a task begins, one every few seconds, one when it ends."""

    SECONDS = 10.0

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._start = write, time.monotonic()

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self.line(what)
        start = time.monotonic()
        yield _Lines(self, what, total, unit)
        if (seconds := time.monotonic() - start) > 1:
            self.line(f"{what}: done in {seconds:.1f} s")

    def line(self, text: str) -> None:
        self._write(f"[{time.monotonic() - self._start:7.1f}] {text}")


class _Lines:
    def __init__(self, lines: LineProgress, what: str, total: float | None, unit: str) -> None:
        self._lines, self._what, self._total, self._unit = lines, what, total, unit
        self._start = self._last = time.monotonic()

    def update(self, done: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self._last < LineProgress.SECONDS:
            return
        self._last = now
        of = left = ""
        if self._total:
            of = f" of {self._total:.0f}"
            left = f", {max(0.0, (now - self._start) * (self._total / done - 1)):.0f} s left"
        self._lines.line(f"{self._what}: {done:.0f}{of} {self._unit}{left} {note}".rstrip())


def progress_for(*, json: bool, verbose: bool) -> ProgressProtocol:
    """What suits standard error; with consoles shown, lines mix better than bars."""
    if json:
        return NoProgress()
    console = SafeConsole(stderr=True)
    if console.is_terminal and not verbose:
        return BarProgress(console)
    return LineProgress(tell)
