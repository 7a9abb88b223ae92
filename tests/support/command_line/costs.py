"""What a command costs: CPU time and memory of a process and its children."""

from __future__ import annotations

import json
import subprocess
import sys
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


# a process of few bytes between us and the command: Linux counts, for a child, what its parent had
# when it was forked (fs/exec.c, exec_mmap), and a process full of tests has a lot
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
    """Of ``zharness`` with these arguments; its output goes nowhere."""
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
    """It ended by itself, within what a command may take, and with no fault of its own."""
    assert cost.code in (0, 1, 3), cost
    assert "internal error" not in cost.errors, cost
    assert cost.peak < MOST_MEMORY, cost
    assert cost.seconds < MOST_SECONDS, cost
