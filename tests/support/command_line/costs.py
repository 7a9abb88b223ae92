"""The cost of a command: CPU time and memory of a process and its children."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

MB = 1_000_000
MOST_MEMORY, MOST_SECONDS = 300 * MB, 20  # limits of a command on a file of up to 64 MiB
_ROOM = 6 << 30  # bytes of address space of a process, so that a fault does not harm the host


class Cost(NamedTuple):
    """``code`` is the exit code. ``peak`` is the largest resident size of one process, in bytes.
    ``seconds`` is the CPU time of all processes; it is nearly the same on a busy host.
    """

    code: int
    seconds: float
    peak: int
    errors: str


# a small process between us and the command: for a child, Linux also counts the memory of its
# parent at the fork (fs/exec.c, exec_mmap), and a process with many tests uses much memory
_BETWEEN = """
import json, os, resource, subprocess, sys
room, seconds, *argv = sys.argv[1:]
process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=2)
resource.prlimit(process.pid, resource.RLIMIT_AS, (int(room), int(room)))
resource.prlimit(process.pid, resource.RLIMIT_CPU, (int(seconds), int(seconds)))
_, status, usage = os.wait4(process.pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps([code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]))
"""


def cost_of(*arguments: str | Path) -> Cost:
    """The cost of ``zharness`` with these arguments; its output is discarded."""
    limits = [str(_ROOM), str(2 * MOST_SECONDS)]
    argv = [sys.executable, "-m", "harness", *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-c", _BETWEEN, *limits, *argv],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    code, seconds, peak = json.loads(done.stdout)
    return Cost(code, seconds, peak, done.stderr)


def assert_bounded(cost: Cost) -> None:
    """Check that the command ended by itself, within the limits and without an internal error."""
    assert cost.code in (0, 1, 3), cost
    assert "internal error" not in cost.errors, cost
    assert cost.peak < MOST_MEMORY, cost
    assert cost.seconds < MOST_SECONDS, cost
