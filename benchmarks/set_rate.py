"""How many runs a minute: the scenarios of scenarios/, with and without the plugin, on all CPUs.

    python benchmarks/set_rate.py
    python benchmarks/set_rate.py --keep DIRECTORY scenarios/machine/

Both dump the same stored crashes, if these were made before. ``--keep`` leaves the evidence there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.images.hold_plugin import ENVIRONMENT, Intercept

WAYS = (Intercept.GDBSTUB, Intercept.PLUGIN)
SCENARIOS = sorted(map(str, (Path(__file__).parents[1] / "scenarios").glob("*.toml")))


def run(scenarios: list[str], way: Intercept, output: Path) -> tuple[int, float, int]:
    """How many runs there were, the minutes that they took, and the exit code."""
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
    return len(list(output.glob("*/verdict.json"))), minutes, done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    print("| | runs | minutes | runs a minute | exit code |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="set-rate-") as place:
        for way in WAYS:
            count, minutes, code = run(given.scenarios, way, (given.keep or Path(place)) / way)
            print(
                f"| {way} | {count} | {minutes:.1f} | {count / minutes:.1f} | {code} |", flush=True
            )


if __name__ == "__main__":
    main()
