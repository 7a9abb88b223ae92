"""Measure everything that docs/speed.md tells, and print the tables for it.

    python benchmarks/speed.py > tables.md          # takes an hour or two; keep the host idle
    python benchmarks/speed.py --only scale

Each table compares within one run, in turn: quote the ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PARTS = {
    "bare": ("run_vs_bare.py",),
    "request": ("round_trip.py",),
    "quick": ("intercept.py", "--pairs", "5"),
    "panic": ("intercept.py", "--pairs", "5", "--scenario", "panic"),
    "hsa": ("intercept.py", "--pairs", "5", "--scenario", "hsa[hsa_size=512M]"),
    "set": ("set_rate.py",),
    "scale": ("scale.py",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, default=[])
    given = parser.parse_args()
    path = os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))
    failed = []
    for part in given.only or PARTS:
        script, *arguments = PARTS[part]
        print(f"\n## {part}\n", flush=True)
        argv = [sys.executable, str(HERE / script), *arguments]
        if subprocess.run(argv, env={**os.environ, "PYTHONPATH": path}, check=False).returncode:
            failed.append(part)
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
