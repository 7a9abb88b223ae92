"""How many runs a minute: the scenarios of scenarios/, with and without the plugin, on all CPUs.

    python benchmarks/set_rate.py
    python benchmarks/set_rate.py --pairs 3 scenarios/panic.toml scenarios/layouts.toml

Both ways dump the same stored crashes: a first round, which does not count, makes them. Then the
ways take turns. ``--keep`` leaves the evidence there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness.images.hold_plugin import ENVIRONMENT, Intercept

WAYS = (Intercept.GDBSTUB, Intercept.PLUGIN)
SCENARIOS = sorted(map(str, (Path(__file__).parents[1] / "scenarios").glob("*.toml")))


def run(scenarios: list[str], way: Intercept, output: Path) -> float:
    """Runs a minute; ends this program if one does not pass."""
    argv = [sys.executable, "-m", "harness", "run", *scenarios, "-j", "auto"]
    start = time.monotonic()
    done = subprocess.run(
        [*argv, "--output", str(output)],
        env={**os.environ, ENVIRONMENT: str(way)},
        capture_output=True,
        text=True,
        check=False,
    )
    minutes = (time.monotonic() - start) / 60
    if done.returncode:
        raise SystemExit(f"{way}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    count = len(list(output.glob("*/verdict.json")))
    print(f"{way}: {count} runs in {minutes:.2f} minutes", file=sys.stderr, flush=True)
    return count / minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--pairs", type=int, default=1)
    given = parser.parse_args()
    found: dict[Intercept, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="set-rate-") as place:
        output = given.keep or Path(place)
        run(given.scenarios, Intercept.PLUGIN, output / "first")
        for pair in range(given.pairs):
            for way in WAYS if pair % 2 else reversed(WAYS):
                found[way].append(run(given.scenarios, way, output / f"{pair}-{way}"))
    old, new = (median(found[way]) for way in WAYS)
    print(f"| median of {given.pairs} | gdbstub | plugin | ratio |\n|---|---|---|---|")
    print(f"| runs a minute | {old:.1f} | {new:.1f} | {new / old:.2f} |")


if __name__ == "__main__":
    main()
