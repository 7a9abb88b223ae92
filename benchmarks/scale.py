"""How do time and memory grow with the machine: memory, CPUs, size of the HSA?

Each row is one run of ``quick`` with another size; Debian's kernel crashes. Most memory of such a
machine was never used: it is holes. For *touched* memory these holes are filled with random bytes
in the stored crash, which is then dumped again. Afterwards that dump is verified, converted and
compared once more, alone.

    python benchmarks/scale.py                       # all: takes about half an hour
    python benchmarks/scale.py --memory 512M --memory 2G --touched 512M --touched 2G

``MB of Python`` is the largest memory that a process of ours had for itself (RssAnon in proc(5)):
without files and guest memory that it maps, and without QEMU and other programs. The slope is that
of log(seconds) over log(size): 1 if time grows as memory does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.evidence.names import DIGESTS, RAM
from harness.files import sparse
from harness.files.json_text import to_text
from harness.scenario.sizes import format_size, parse_size

MOST_SECONDS = 7200
LOOK_SECONDS = 0.02
KERNEL = ("--kernel", "debian")
PHASES = ("boot", "snapshot", "dump", "collect", "verify")
OURS = ("snapshot", "collect", "verify")  # the other phases are mostly the guest's
PYTHON = "MB of Python"
MEMORY = ("512M", "2G", "8G", "32G", "64G")
TOUCHED = ("512M", "1G", "2G", "4G")
CPUS = (1, 4, 16, 64)
HSA = ("32M", "128M", "512M", "2G")
PIECE = 1 << 20
IN_MEMORY = 16 << 30  # larger guests have their memory on the disk

Row = dict[str, float]


@dataclass(frozen=True)
class Done:
    """One command of ours: its time, and its largest memory in bytes."""

    seconds: float
    python: int


def command(*arguments: object) -> Done:
    """Run zharness; ends this program if it fails."""
    argv = [sys.executable, "-m", "harness", *map(str, arguments)]
    start, peak = time.monotonic(), 0
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(argv, stdout=said, stderr=said)
        status = Path(f"/proc/{child.pid}/status")
        while child.poll() is None:
            peak = max(peak, _own_memory(status))
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - start > MOST_SECONDS:
                child.kill()
        said.seek(0)
        if child.returncode:
            raise SystemExit(f"{' '.join(argv)}:\n{said.read().decode(errors='replace')}")
    return Done(time.monotonic() - start, peak)


def _own_memory(status: Path) -> int:
    try:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(lines.get("RssAnon", "0 kB").split()[0]) << 10


def phases(evidence: Path, done: Done) -> Row:
    """Seconds of each phase, and the memory of our process."""
    timings: Row = json.loads((evidence / "verdict.json").read_bytes())["timings"]
    return {name: timings.get(name, 0.0) for name in PHASES} | {PYTHON: done.python / 1e6}


def run(output: Path, overrides: Mapping[str, object]) -> Row:
    """One run of ``quick``."""
    words = [word for name, value in overrides.items() for word in ("--set", f"{name}={value}")]
    if parse_size(str(overrides["crashed.memory"])) > IN_MEMORY:
        words.append("--memory-on-disk")
    return phases(output, command("run", "quick", *KERNEL, *words, "--output", output))


def fill(crash: Path) -> None:
    """Put random bytes where the memory of a stored crash is a hole."""
    ram = crash / RAM
    with ram.open("r+b") as file:
        extents = [*sparse.data_extents(file.fileno()), (ram.stat().st_size, 0)]
        at = 0
        for start, size in extents:
            while at < start:
                at += os.pwrite(file.fileno(), os.urandom(min(PIECE, start - at)), at)
            at = start + size
        os.fsync(file.fileno())  # what is timed next must not wait for these bytes
    digests = json.loads((crash / DIGESTS).read_bytes())
    digests[RAM]["digest"] = sparse.digest(ram)
    (crash / DIGESTS).write_text(to_text(digests) + "\n")


def touched(evidence: Path, place: Path) -> tuple[Row, Row]:
    """The crash in ``evidence``, filled and dumped again; and what is done with the dump alone."""
    crash, again, other = evidence / "crash", place / "again", place / "converted"
    fill(crash)
    done = command("dump", f"{crash}/", "--hsa-size", "32M", "--output", again)
    steps = {
        "verify": command("verify", again),
        "convert": command("dump", "convert", again / "dump/dump", other, "--to", "s390_ext"),
        "compare": command("dump", "compare", again / "dump/dump", other),
    }
    alone = {name: step.seconds for name, step in steps.items()}
    alone[PYTHON] = max(step.python for step in steps.values()) / 1e6
    return phases(again, done), alone


def slope(rows: Mapping[str, Row], columns: tuple[str, ...]) -> float:
    """Of the largest against the smallest size."""
    sizes = list(map(parse_size, rows))
    values = [sum(row[column] for column in columns) for row in rows.values()]
    return math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])


def show(title: str, rows: Mapping[str, Row], *slopes: tuple[str, ...]) -> None:
    """A table in Markdown, and slopes below it."""
    if not rows:
        return
    columns = [*next(iter(rows.values()))]
    print(f"\n| {title} | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(f'{row[column]:.1f}' for column in columns)} |")
    if len(rows) > 1:
        for each in slopes:
            print(f"\nSlope of {', '.join(each)}: {slope(rows, each):.2f}")
    sys.stdout.flush()


def of_memory(sizes: tuple[str, ...], filled: tuple[str, ...]) -> None:
    """Tables for machines with these sizes, and those that are filled."""
    holes, full, alone = dict[str, Row](), dict[str, Row](), dict[str, Row]()
    for size in dict.fromkeys((*filled, *sizes)):
        with tempfile.TemporaryDirectory(prefix="scale-") as name:
            evidence = Path(name, "run")
            holes[size] = run(evidence, {"crashed.memory": size})
            print(size, holes[size], file=sys.stderr)
            if size in filled:
                full[size], alone[size] = touched(evidence, Path(name))
                print(size, full[size], alone[size], file=sys.stderr)
    show("memory, mostly holes", dict(sorted(holes.items(), key=lambda row: parse_size(row[0]))))
    show("memory, touched", full, OURS, ("dump",))
    show("the same dump, alone", alone, ("verify",), ("convert",), ("compare",))


def of_machines(title: str, machines: Mapping[str, Mapping[str, object]]) -> None:
    """A table for machines, by the name of the row."""
    rows = {}
    for row, overrides in machines.items():
        with tempfile.TemporaryDirectory(prefix="scale-") as name:
            rows[row] = run(Path(name, "run"), overrides)
            print(title, row, rows[row], file=sys.stderr)
    show(title, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--memory", "--touched", "--cpus", "--hsa"):
        parser.add_argument(option, action="append", default=[])
    given = vars(parser.parse_args())
    if not any(given.values()):
        given = {"memory": MEMORY, "touched": TOUCHED, "cpus": CPUS, "hsa": HSA}
    of_memory(tuple(given["memory"]), tuple(given["touched"]))
    of_machines("CPUs", {str(n): {"crashed.memory": "1G", "crashed.smp": n} for n in given["cpus"]})
    hsa = {}
    for size in given["hsa"]:
        memory = format_size(max(parse_size("512M"), 2 * parse_size(size)))
        hsa[size] = {"crashed.memory": memory, "dump.hsa_size": size}
    of_machines("HSA", hsa)


if __name__ == "__main__":
    main()
