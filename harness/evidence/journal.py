"""``journal.jsonl``: the events of a run, one per line, written when they happen."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from harness.closing import Closing
from harness.phase import Phase

MOST_LINES = 1000  # per kind of event: a guest can cause any number of events


class Journal(Closing):
    """One JSON object a line: ``at`` (seconds since the start), ``phase``, ``event``, details.

    It has at most ``MOST_LINES`` of each kind of event; the last lines name the kinds with more.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)
        self._start = time.monotonic()
        self._events: Counter[str] = Counter()

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            for event, count in self._events.items():
                if count > MOST_LINES:
                    self._write(None, "left out", {"of": event, "lines": count - MOST_LINES})
        finally:
            self._file.close()

    def write(self, phase: Phase | None, event: str, details: dict[str, object]) -> None:
        self._events[event] += 1
        if self._events[event] <= MOST_LINES:
            self._write(phase, event, details)

    def _write(self, phase: Phase | None, event: str, details: dict[str, object]) -> None:
        at = round(time.monotonic() - self._start, 6)
        record = {"at": at, "phase": phase, "event": event, **details}
        self._file.write(json.dumps(record, default=str) + "\n")
