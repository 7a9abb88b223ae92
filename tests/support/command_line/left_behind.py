"""Find out how far a run is, and what it leaves behind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PHASES = ["images", "boot", "crash", "snapshot", "ipl", "dump", "collect", "verify"]
START_SECONDS = 120
END_SECONDS = 5


def journal_events(journal: Path) -> Iterator[dict]:
    if journal.exists():
        for line in journal.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # an incomplete line
                return


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        threading.Event().wait(0.002)


def qemus_of(evidence: Path) -> list[int]:
    """QEMU processes that have a file of this run open, or its disk on their command line."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            ours = process.name.isdigit() and str(evidence) in (process / "environ").read_text()
            if ours and "qemu" in (process / "cmdline").read_text():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def reached(evidence: Path, phase: str) -> bool:
    return any(
        event["phase"] == phase and event["event"] == "begin"
        for event in journal_events(evidence / "journal.jsonl")
    )
