"""Does ``zharness bisect`` find a bug in a random commit, and how long does it take?

The benchmark makes a git repository of the kernel's source. One commit brings back a bug of the
museum; the other commits change nothing. The bisection is killed once and resumed.

    python benchmarks/bisect_museum.py --commits 32 --bug todpreg-eight-bytes --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.host.paths import default_store
from harness.images.command import Tools
from harness.images.kernel.source import apply, kernel_source
from harness.images.kernel.spec import museum
from harness.images.store import Store
from harness.lab.bisect import STATE
from harness.progress import NoProgress

FILE = "arch/s390/kernel/crash_dump.c"  # each commit adds a comment at its end
KILL_AFTER = 3  # commits tried


def repository(store: Store, root: Path, commits: int, bug: str, bad: int) -> list[str]:
    """A history whose commit number ``bad`` has the bug; returns the commits."""
    tools = Tools(root.with_suffix(".log"), "the history")
    kernel_source(store, NoProgress()).place(root, tools)
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "gc.auto", "0")
    git(root, "add", "-A", "-f")  # the .gitignore in Debian's source ignores all files
    names = []
    for number in range(commits):
        if number == bad:
            apply(museum()[bug], root, tools)
        # make a new file, because the old one may be shared with the store
        text = (root / FILE).read_text()
        (root / FILE).unlink()
        (root / FILE).write_text(f"{text}/* {number} */\n")
        git(root, "commit", "-q", "-a", "-m", f"change number {number}")
        names.append(git(root, "rev-parse", "HEAD"))
    return names


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=zharness", "-c", "user.email=zharness@localhost"]
    argv = ["git", "-C", str(root), *who, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def tried(output: Path) -> int:
    """How many commits the bisection has tried so far."""
    state = output / STATE
    return len(json.loads(state.read_bytes())["steps"]) if state.exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", type=int, default=32)
    parser.add_argument("--bug", choices=sorted(museum()), default="todpreg-eight-bytes")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311 - must be repeatable, not secret
    bad = chance.randrange(2, arguments.commits - 2)
    with tempfile.TemporaryDirectory(dir=default_store().parent) as place:
        root, output = Path(place, "linux"), Path(place, "bisection")
        commits = repository(
            Store(default_store(), NoProgress()), root, arguments.commits, arguments.bug, bad
        )
        ends = ["--good", commits[0], "--bad", commits[-1]]
        argv = ["zharness", "bisect", "run", "-C", str(root), *ends, "--output", str(output)]
        start = time.monotonic()
        first = subprocess.Popen([*argv, "--json"], stdout=subprocess.DEVNULL)
        while first.poll() is None and tried(output) < KILL_AFTER:
            time.sleep(1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = tried(output)
        again = subprocess.run([*argv, "--json"], stdout=subprocess.PIPE, check=True)
        minutes = (time.monotonic() - start) / 60
        result = json.loads(again.stdout)
        for step in result["steps"]:
            print(f"{step['answer']:5}{step['subject']:22}{step['seconds']:6.0f} s  {step['why']}")
    right = result["first_bad"] == [commits[bad]]
    print(
        f"{'found' if right else 'MISSED'} number {bad} of {arguments.commits}: "
        f"{len(result['steps'])} commits tried, killed after {before}, {minutes:.1f} minutes"
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
