"""``journal.jsonl``: what a run did and saw, a line each, written as it happens."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class Journal:
    """One JSON object a line: ``at`` (seconds since the start), ``phase``, ``event``, details."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def write(self, phase: str | None, event: str, details: dict[str, object]) -> None:
        at = round(time.monotonic() - self._start, 6)
        record = {"at": at, "phase": phase, "event": event, **details}
        self._file.write(json.dumps(record, default=str) + "\n")
