"""What a command costs: CPU time and memory of a process and its children."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

MB = 1_000_000
MOST_MEMORY, MOST_SECONDS = 300 * MB, 20  # that a command on a file of up to 64 MiB may take
_ROOM = 6 << 30  # bytes that a process may address, so that a fault does not take the host with it


class Cost(NamedTuple):
    """``code`` is the exit code, ``peak`` the largest resident size of one of its processes, in
    bytes; ``seconds`` of CPU time of all, which a host that is busy does not change much.
    """

    code: int
    seconds: float
    peak: int
    errors: str


def cost_of(*arguments: str | Path) -> Cost:
    """Of ``zharness`` with these arguments; its output goes nowhere."""
    argv = [sys.executable, "-m", "harness", *map(str, arguments)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=errors)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (_ROOM, _ROOM))
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (2 * MOST_SECONDS, 2 * MOST_SECONDS))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    seconds = usage.ru_utime + usage.ru_stime
    return Cost(process.returncode, seconds, usage.ru_maxrss * 1024, said)


def assert_bounded(cost: Cost) -> None:
    """It ended by itself, within what a command may take, and with no fault of its own."""
    assert cost.code in (0, 1, 3), cost
    assert "internal error" not in cost.errors, cost
    assert cost.peak < MOST_MEMORY, cost
    assert cost.seconds < MOST_SECONDS, cost
