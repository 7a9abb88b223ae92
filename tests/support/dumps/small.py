"""A dump of 16 KiB."""

from __future__ import annotations

from pathlib import Path

from tests.support.cpus import make_cpu
from tests.support.evidence import Load, vmcore

MEMORY = bytes(range(256)) * 64  # 16 KiB
CPUS = (make_cpu(1), make_cpu(2))


def written(directory: Path) -> Path:
    path = directory / "dump"
    path.write_bytes(vmcore(MEMORY, CPUS, loads=(Load(0, len(MEMORY), 0),)))
    return path
