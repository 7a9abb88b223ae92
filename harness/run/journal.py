"""``journal.jsonl``: what a run did and saw, a line each, written as it happens."""

from __future__ import annotations

import json
import time
from pathlib import Path

from harness.closing import Closing


class Journal(Closing):
    """One JSON object a line: ``at`` (seconds since the start), ``phase``, ``event``, details."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)
        self._start = time.monotonic()

    def close(self) -> None:
        self._file.close()

    def write(self, phase: str | None, event: str, details: dict[str, object]) -> None:
        at = round(time.monotonic() - self._start, 6)
        record = {"at": at, "phase": phase, "event": event, **details}
        self._file.write(json.dumps(record, default=str) + "\n")
