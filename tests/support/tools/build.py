"""Compile dump tools that tests bring: static programs without a library."""

from __future__ import annotations

import subprocess
from pathlib import Path

TOOLS = Path(__file__).parent
_FLAGS = ("-march=zEC12", "-O1", "-static", "-nostdlib", "-ffreestanding")


def static_program(source: str, into: Path) -> Path:
    """The program of ``source``, below this directory, at ``into``."""
    subprocess.run(["s390x-linux-gnu-gcc", *_FLAGS, "-o", into, TOOLS / source], check=True)
    return into
