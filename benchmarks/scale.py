"""How do time and memory grow with the machine: memory, CPUs, size of the HSA?

Each row is one run of ``quick`` with another size. Of *touched* memory every page has content: the
crashed kernel fills free pages at its boot (``page_poison=1``). Of the other, pages that the kernel
never used are holes. Afterwards the dump is verified, converted and compared once more, alone.

    python benchmarks/scale.py                       # all: takes about half an hour
    python benchmarks/scale.py --memory 512M --memory 2G --touched 512M --touched 2G

``Python`` is the largest resident memory of a process of ours (VmHWM in proc(5)): QEMU and other
programs are not in it. The slope is that of log(seconds) over log(size): 1 if time grows as memory
does.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.scenario.sizes import format_size, parse_size

MOST_SECONDS = 7200
LOOK_SECONDS = 0.05
OUR_PHASES = ("snapshot", "collect", "verify")
POISONED = (
    "crashed.config=['CONFIG_PAGE_POISONING=y']",
    "crashed.parmline='page_poison=1'",
)
MEMORY = ("512M", "2G", "8G", "32G", "64G")
TOUCHED = ("512M", "1G", "2G", "4G", "8G")
CPUS = (1, 4, 16, 64)
HSA = ("32M", "128M", "512M", "2G")


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
            peak = max(peak, _peak(status))
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - start > MOST_SECONDS:
                child.kill()
        said.seek(0)
        if child.returncode:
            raise SystemExit(f"{' '.join(argv)}:\n{said.read().decode(errors='replace')}")
    return Done(time.monotonic() - start, peak)


def _peak(status: Path) -> int:
    try:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    except OSError:
        return 0
    return int(lines.get("VmHWM", "0 kB").split()[0]) << 10


def run(
    output: Path, overrides: Mapping[str, object], *, touched: bool = False
) -> dict[str, float]:
    """One run: seconds of its phases, and MB of memory of its process."""
    changes = [f"{name}={value}" for name, value in overrides.items()]
    words = [word for each in (*changes, *POISONED * touched) for word in ("--set", each)]
    done = command("run", "quick", *words, "--output", output)
    timings: dict[str, float] = json.loads((output / "verdict.json").read_bytes())["timings"]
    return {**timings, "Python": done.python / 1e6}


def alone(evidence: Path, place: Path) -> dict[str, float]:
    """The same dump again: verified, converted, compared with what was converted."""
    dump, other = evidence / "dump/dump", place / "converted"
    steps = {
        "verify": command("verify", evidence),
        "convert": command("dump", "convert", dump, other, "--to", "s390_ext"),
        "compare": command("dump", "compare", dump, other),
    }
    other.unlink()
    seconds = {name: done.seconds for name, done in steps.items()}
    return {**seconds, "Python": max(done.python for done in steps.values()) / 1e6}


def slope(rows: dict[str, dict[str, float]], column: str) -> float:
    """Of the largest against the smallest size."""
    sizes = list(map(parse_size, rows))
    values = [row[column] for row in rows.values()]
    return math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])


def table(title: str, rows: dict[str, dict[str, float]], columns: tuple[str, ...]) -> str:
    """Markdown."""
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{row[column]:.1f}' for column in columns)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", action="append", default=[])
    parser.add_argument("--touched", action="append", default=[])
    parser.add_argument("--cpus", action="append", type=int, default=[])
    parser.add_argument("--hsa", action="append", default=[])
    given = parser.parse_args()
    everything = not any((given.memory, given.touched, given.cpus, given.hsa))
    wanted: dict[str, Any] = {
        "memory": given.memory or (MEMORY if everything else ()),
        "touched": given.touched or (TOUCHED if everything else ()),
        "cpus": given.cpus or (CPUS if everything else ()),
        "hsa": given.hsa or (HSA if everything else ()),
    }
    phases = ("boot", "dump", *OUR_PHASES, "Python")
    for kind in ("memory", "touched"):
        rows, again = {}, {}
        for size in wanted[kind]:
            with tempfile.TemporaryDirectory(prefix="scale-") as name:
                evidence, touched = Path(name, "run"), kind == "touched"
                rows[size] = run(evidence, {"crashed.memory": size}, touched=touched)
                print(kind, size, rows[size], file=sys.stderr)
                again[size] = alone(evidence, Path(name))
        if rows:
            what = "memory, touched" if kind == "touched" else "memory, mostly holes"
            print(f"\n{table(what, rows, phases)}\n\n{table(what, again, tuple(again[size]))}")
        if len(rows) > 1:
            ours = {
                size: {"ours": sum(row[phase] for phase in OUR_PHASES)}
                for size, row in rows.items()
            }
            print(f"\nslope of {', '.join(OUR_PHASES)} together: {slope(ours, 'ours'):.2f}")
            print(f"slope of the dump: {slope(rows, 'dump'):.2f}")
    others = {
        "CPUs": [{"crashed.memory": "1G", "crashed.smp": count} for count in wanted["cpus"]],
        "HSA": [
            {
                "crashed.memory": format_size(max(parse_size("512M"), 2 * parse_size(size))),
                "dump.hsa_size": size,
            }
            for size in wanted["hsa"]
        ],
    }
    for kind, machines in others.items():
        rows = {}
        for overrides in machines:
            with tempfile.TemporaryDirectory(prefix="scale-") as name:
                last = str([*overrides.values()][-1])
                rows[last] = run(Path(name, "run"), overrides)
                print(kind, last, rows[last], file=sys.stderr)
        if rows:
            print(f"\n{table(kind, rows, phases)}")


if __name__ == "__main__":
    main()
