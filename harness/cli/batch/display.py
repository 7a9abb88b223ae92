"""The progress of a batch: a live table on a terminal, lines on anything else, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.cli.say import SafeConsole, plain, tell
from harness.cli.show.verdict import one_line, tally
from harness.report.runs import ReportedRun, count
from harness.report.verdict import Result
from harness.run.batch.items import Item
from harness.run.batch.messages import AtTask, ConsoleLine

LINE_SECONDS = 30.0  # of silence at most, where there is no live table

Clock = Callable[[], float]


@dataclass
class Row:
    """One run that has started; ``since`` is when it started, ``at`` what it is doing."""

    name: str
    since: float
    at: str = "start"

    def seconds(self, now: float) -> float:
        return now - self.since


class Tally:
    """Counts runs, and estimates how long the rest of ``total`` takes, ``slots`` at a time."""

    def __init__(self, total: int, slots: int) -> None:
        self.running: dict[int, Row] = {}
        self._results = count(())
        self._waiting, self._slots, self._seconds = total, slots, 0.0

    def started(self, number: int, name: str, now: float) -> None:
        self._waiting -= 1
        self.running[number] = Row(name, now)

    def ended(self, number: int, run: ReportedRun) -> None:
        if self.running.pop(number, None) is None:  # it never started
            self._waiting -= 1
        self._results[run.result] += 1
        if run.verdict is not None:
            self._seconds += run.seconds

    def lost(self, number: int) -> None:
        del self.running[number]
        self._waiting += 1

    def seconds_left(self, now: float) -> float | None:
        """Estimated from the mean of the runs that have finished; None if there are none."""
        done = sum(self._results[result] for result in Result)
        if not done:
            return None
        mean = self._seconds / done
        begun = [max(0.0, mean - row.seconds(now)) for row in self.running.values()]
        return max(0.0, *begun, (self._waiting * mean + sum(begun)) / self._slots)

    def line(self, now: float) -> str:
        """All numbers in one line."""
        left = self.seconds_left(now)
        return (
            f"{tally(self._results)}, {len(self.running)} running, {self._waiting} waiting"
            # nothing is estimated from a run that takes longer than the mean
            + (f", about {left:.0f} s left" if left else "")
        )


class QuietDisplay:
    """Shows only console lines, which come only if they were requested."""

    def __init__(self, tally: Tally, clock: Clock = time.monotonic) -> None:
        self._tally, self._clock = tally, clock

    def started(self, number: int, item: Item) -> None:
        self._tally.started(number, item.name, self._clock())

    def at(self, number: int, task: AtTask) -> None:
        self._tally.running[number].at = f"{task.what} {task.note}".strip()

    def console(self, number: int, line: ConsoleLine) -> None:
        name = self._tally.running[number].name
        tell(f"{name} {line.machine:5} | {line.line}")

    def ended(self, number: int, run: ReportedRun) -> None:
        self._tally.ended(number, run)

    def lost(self, number: int, host: str, why: str) -> None:
        name = self._tally.running[number].name
        self._tally.lost(number)
        self._tell_lost(f"{name}: {host} is lost ({why}); it waits for another host")

    def _tell_lost(self, line: str) -> None:
        tell(line)

    def tick(self) -> None:
        pass


class LineDisplay(QuietDisplay):
    """Prints a line when a run starts or ends, and at least one every half a minute."""

    def __init__(self, tally: Tally, clock: Clock = time.monotonic) -> None:
        super().__init__(tally, clock)
        self._start = self._last = clock()

    def started(self, number: int, item: Item) -> None:
        super().started(number, item)
        self._say(f"{item.name}: started")

    def ended(self, number: int, run: ReportedRun) -> None:
        ran = number in self._tally.running
        super().ended(number, run)
        if ran:
            self._say(one_line(run))

    def _tell_lost(self, line: str) -> None:
        self._say(line)

    def tick(self) -> None:
        now = self._clock()
        if now - self._last >= LINE_SECONDS:
            rows = self._tally.running.values()
            under_way = (f"{row.name}: {row.at} ({row.seconds(now):.0f} s)" for row in rows)
            self._say("; ".join([self._tally.line(now), *under_way]))

    def _say(self, text: str) -> None:
        self._last = self._clock()
        tell(f"[{self._last - self._start:7.1f}] {text}")


class LiveDisplay(QuietDisplay):
    """Shows a row for each active run, and the totals above; runs that have ended scroll by."""

    def __init__(self, tally: Tally, live: Live, clock: Clock = time.monotonic) -> None:
        super().__init__(tally, clock)
        self._live = live

    def ended(self, number: int, run: ReportedRun) -> None:
        ran = number in self._tally.running
        super().ended(number, run)
        if ran:
            self._live.console.print(plain(one_line(run)), no_wrap=True, overflow="ellipsis")

    def _tell_lost(self, line: str) -> None:
        self._live.console.print(plain(line), no_wrap=True, overflow="ellipsis")

    def tick(self) -> None:
        self._live.update(self.picture(), refresh=True)

    def picture(self) -> Group:
        """The rows and totals of this moment."""
        now = self._clock()
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column()
        table.add_column()
        table.add_column(justify="right", no_wrap=True)  # so that only the others give way
        for row in self._tally.running.values():
            table.add_row(_cut(row.name), _cut(row.at), f"{row.seconds(now):.0f} s")
        numbers = _cut(self._tally.line(now), style="bold")
        # an empty line at the end, where a terminal's ^C does not spoil the count of lines
        return Group(numbers, table, Text())


def _cut(text: str, style: str = "") -> Text:
    """``text`` on one line, cut at the terminal's width."""
    shown = plain(text, style)
    shown.no_wrap, shown.overflow = True, "ellipsis"
    return shown


@contextmanager
def display_for(total: int, slots: int, *, json: bool, verbose: bool) -> Iterator[QuietDisplay]:
    """The display for standard error; if consoles are shown, lines, because a table mixes badly."""
    numbers = Tally(total, slots)
    console = SafeConsole(stderr=True)
    if json:
        yield QuietDisplay(numbers)
    elif verbose or not console.is_terminal:
        yield LineDisplay(numbers)
    else:
        # drawn at each tick, not by a thread of its own: children die with the thread that starts
        # them, and a display thread must not keep a dead process alive
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield LiveDisplay(numbers, live)
