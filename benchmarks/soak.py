"""Is the verdict right on an overloaded host? Many runs, each of them disturbed.

    python benchmarks/soak.py --runs 100 --busy 4 --output soak

While the runs work, ``--busy`` other processes use the CPUs. The processes of each run, harness and
QEMU, are stopped (SIGSTOP) and continued many times: one of them, or all, as in a host that is
suspended. ``--seed`` determines when, which and for how long. Every run must PASS; the exit code is
1 if one does not. ``--scenario`` names the scenario, ``--jobs`` the number of parallel runs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PAUSES = (0.5, 8.0)  # seconds between two stops
STOPS = (0.1, 5.0)  # seconds of one stop
LONG_STOP, LONG_CHANCE = 70.0, 0.01  # longer than a dump system may be silent
RUN_SECONDS = 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--busy", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=390)
    parser.add_argument("--scenario", default="quick")
    parser.add_argument("--output", type=Path, required=True)
    wanted = parser.parse_args()
    wanted.output.mkdir(parents=True)
    start = time.monotonic()
    with ExitStack() as stack:
        for _ in range(wanted.busy):
            stack.enter_context(busy())
        pool = stack.enter_context(ThreadPoolExecutor(wanted.jobs))
        counts = Counter(
            pool.map(
                lambda number: one_run(wanted.scenario, wanted.output, wanted.seed, number),
                range(wanted.runs),
            )
        )
    print(json.dumps({"verdicts": counts, "seconds": round(time.monotonic() - start)}))
    return 0 if counts == {"PASS": wanted.runs} else 1


@contextmanager
def busy() -> Iterator[None]:
    """A process that uses as much CPU time as it gets."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        try:
            yield
        finally:
            child.kill()


def one_run(scenario: str, output: Path, seed: int, number: int) -> str:
    """The verdict of a run that is disturbed from its start to its end."""
    evidence = output / f"{number:04}"
    chance = random.Random(f"{seed}-{number}")  # noqa: S311 - must be repeatable
    command = [sys.executable, "-m", "harness", "run", scenario, "--fresh", "--json"]
    with subprocess.Popen(
        [*command, "--output", str(evidence)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        ended = threading.Event()
        tormentor = threading.Thread(target=disturb, args=(child.pid, chance, ended))
        tormentor.start()
        try:
            out, err = child.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            child.terminate()
            out, err = child.communicate()
        finally:
            ended.set()
            tormentor.join()
    try:
        verdict = str(json.loads(out)["verdict"])
    except (ValueError, KeyError):
        verdict = f"none: exit {child.returncode}: {err.decode(errors='replace')[-200:]}"
    print(f"{number:4} {verdict}", flush=True)
    return verdict


def disturb(root: int, chance: random.Random, ended: threading.Event) -> None:
    """Stop and continue the process ``root`` and its descendants until it has ``ended``."""
    while not ended.wait(chance.uniform(*PAUSES)):
        tree = [root, *below(root)]
        long = chance.random() < LONG_CHANCE
        chosen = tree if long or chance.random() < 0.6 else [chance.choice(tree)]
        for pid in chosen:
            send(pid, signal.SIGSTOP)
        # a stopped process does not end, so no other process can get its number
        ended.wait(LONG_STOP if long else chance.uniform(*STOPS))
        for pid in reversed(chosen):
            send(pid, signal.SIGCONT)


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def below(root: int) -> Iterator[int]:
    """All descendants of a process."""
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from below(child)


if __name__ == "__main__":
    sys.exit(main())
