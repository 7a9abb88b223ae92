"""The cost of ``dump compare`` and ``dump check``, compared with cmp(1).

    python benchmarks/dump_compare.py [--memory 1G] [--zero 0.0] [--rounds 3]

It uses two equal ELF dumps. The fraction ``--zero`` is zeros without holes; the rest is random. The
tools run in turn, each in its own process, so that changes of the host's speed affect all. Files
are in the page cache. The peak is the peak of resident memory. Quote the ratios of the medians.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from harness.scenario.sizes import format_size, parse_size

PIECE = 1 << 20
DATA_AT = 4096
OPENED = "from pathlib import Path; from harness.dump.detect import open_dump; "
IDLE = "from harness.progress import NoProgress as N; "
COMPARE = (
    f"import sys; {OPENED}{IDLE}from harness.inspect.compare import compare; "
    "a, b = (open_dump(Path(name)) for name in sys.argv[1:]); "
    "assert compare(a, b, N())[1].passed"
)
CHECK = (
    f"import sys; {OPENED}{IDLE}from harness.inspect.check import check; "
    "assert check(open_dump(Path(sys.argv[1])), None, N())[-1].passed"
)


class Cost(NamedTuple):
    """One process: seconds from start to end, and its peak of resident memory in bytes."""

    seconds: float
    peak: int


def write_dump(path: Path, memory: int, zero: float) -> None:
    """An s390x ELF core with one PT_LOAD and no notes."""
    ident = b"\x7fELF\x02\x02\x01".ljust(16, b"\0")
    header = ident + struct.pack(">HHIQQQIHHHHHH", 4, 22, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    load = struct.pack(">IIQQQQQQ", 1, 7, DATA_AT, 0, 0, memory, memory, 4096)
    source = random.Random(390)  # noqa: S311  # must be the same each time
    with path.open("wb") as file:
        file.write((header + load).ljust(DATA_AT, b"\0"))
        for _ in range(0, memory, PIECE):
            is_zero = source.random() < zero
            file.write(bytes(PIECE) if is_zero else source.randbytes(PIECE))


def run(argv: list[str]) -> Cost:
    start = time.monotonic()
    process = os.posix_spawnp(argv[0], argv, os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{argv[0]} failed")
    return Cost(time.monotonic() - start, usage.ru_maxrss * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", default="1G", type=parse_size)
    parser.add_argument("--zero", default=0.0, type=float)
    parser.add_argument("--rounds", default=3, type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        one, other = f"{scratch}/one.elf", f"{scratch}/other.elf"
        write_dump(Path(one), options.memory, options.zero)
        shutil.copyfile(one, other)
        tools = {
            "cmp": ["cmp", one, other],
            "compare": [sys.executable, "-c", COMPARE, one, other],
            "check": [sys.executable, "-c", CHECK, one],
        }
        costs: dict[str, list[Cost]] = {name: [] for name in tools}
        for _ in range(options.rounds):
            for name, argv in tools.items():
                costs[name].append(run(argv))
    print(f"{format_size(options.memory)} each, {options.zero:.0%} zero")
    cmp = statistics.median(cost.seconds for cost in costs["cmp"])
    for name, found in costs.items():
        seconds = statistics.median(cost.seconds for cost in found)
        peak = max(cost.peak for cost in found)
        print(
            f"  {name:8} {seconds:6.2f} s  {options.memory / seconds / 1e6:6.0f} MB/s  "
            f"{seconds / cmp:5.2f} x cmp  peak {peak / 1e6:4.0f} MB"
        )


if __name__ == "__main__":
    main()
