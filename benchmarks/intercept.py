"""How much faster is a dump if a plugin holds the CPU at service signals?

Runs the same stored crash both ways, in turn, and prints medians and the ratio.

    python benchmarks/intercept.py --pairs 5
    python benchmarks/intercept.py --pairs 3 --scenario 'hsa[hsa_size=512M]'
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from harness.images.hold_plugin import ENVIRONMENT, Intercept

WAYS = (Intercept.GDBSTUB, Intercept.PLUGIN)
MOST_SECONDS = 3600


def run(scenario: str, way: Intercept, output: Path) -> dict[str, float]:
    """One run: seconds in all and of the dump, microseconds for each SDIAS request."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", scenario, "--output", str(output)],
        env={**os.environ, ENVIRONMENT: str(way)},
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    verdict, outcome = read(output / "verdict.json"), read(output / "dump/outcome.json")
    if done.returncode or outcome["intercepted_by"] != way:
        raise SystemExit(f"{way}: {verdict['verdict']} by {outcome['intercepted_by']}")
    events = [json.loads(line) for line in (output / "journal.jsonl").read_text().splitlines()]
    first = next(each["at"] for each in events if each["event"] == "first SDIAS request")
    released = next(
        each["at"] for each in events if each["event"] == "DIAG 308" and each["at"] > first
    )
    hsa = released - first
    return {
        "run": sum(verdict["timings"].values()),
        "dump": verdict["timings"]["dump"],
        "HSA": hsa,
        "us/SDIAS": hsa * 1e6 / outcome["sdias_requests"],
        "MB/s of the HSA": outcome["hsa_size"] / 1e6 / hsa,
    }


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--scenario", default="quick")
    given = parser.parse_args()
    found: dict[Intercept, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as place:
        run(given.scenario, Intercept.PLUGIN, Path(place, "warm"))
        for pair in range(given.pairs):
            for way in WAYS if pair % 2 else reversed(WAYS):
                found[way].append(run(given.scenario, way, Path(place, f"{pair}-{way}")))
                print(way, {name: round(value, 2) for name, value in found[way][-1].items()})
    print(f"\n| {given.scenario}, median of {given.pairs} | gdbstub | plugin | ratio |")
    print("|---|---|---|---|")
    for name in found[Intercept.PLUGIN][0]:
        old, new = (median(each[name] for each in found[way]) for way in WAYS)
        print(f"| {name} | {old:.2f} | {new:.2f} | {new / old:.2f} |")


if __name__ == "__main__":
    main()
