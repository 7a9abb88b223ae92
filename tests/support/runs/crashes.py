"""A synthetic crash, with the files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.evidence.snapshot import Snapshot
from tests.support.cpus import make_cpu

MEMORY = 3 << 20


def make_crash(directory: Path, **machine: Any) -> Snapshot:
    """Two CPUs, 3 MiB of memory with data in the middle, and a disk of the system's own."""
    directory.mkdir(parents=True)
    with (directory / "ram.img").open("wb") as ram:
        ram.seek(MEMORY // 2)
        ram.write(b"old memory")
        ram.truncate(MEMORY)
    (directory / "system.img").write_bytes(b"the system's own")
    (directory / "console.log").write_text("Kernel panic\n")
    described = {"memory": MEMORY, "trigger": "sysrq-c", "cpu_model": "max", "created": "2026"}
    return Snapshot.create(directory, (make_cpu(0), make_cpu(1)), {**described, **machine})
