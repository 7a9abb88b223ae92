"""A worker without QEMU; the name of its scenario says what it does: run as a script."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

OUTPUT = []  # the evidence directory
LONG = 600  # seconds; the tests do not wait for it


def say(**message):
    print(json.dumps(message), flush=True)


def conclude(result, **fields):
    finding = {"check": "pages", "message": "page 0x1000 differs", "details": {}}
    check = {
        "check": "pages",
        "passed": result != "FAIL",
        "compared": 1,
        "unit": "pages",
        "findings": [finding] if result == "FAIL" else [],
        "allowed": [],
        "skipped": None,
    }
    checks = [check]
    verdict = {"verdict": result, "checks": checks, **fields}
    if result != "MAYBE":
        (OUTPUT[0] / "verdict.json").write_text(json.dumps(verdict))
    say(verdict=verdict)


def wait_for(path):
    end = time.monotonic() + LONG
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def passing(output, argument):
    (output / "run.json").touch()
    conclude("PASS")


def failing(output, argument):
    conclude("FAIL", phase="verify")


def erring(output, argument):
    conclude("ERROR", phase="boot", error="no prompt", hint="look")


def refusing(output, argument):
    """Behave like a run that removes its evidence."""
    shutil.rmtree(output)
    print("a warning", file=sys.stderr)
    say(refused=["no such kernel", "look"])


def waiting(output, argument):
    """Wait for a file, with which another worker shows that it has started or ended."""
    wait_for(output.parent / argument)
    conclude("PASS")


def waiting_after_its_crash(output, argument):
    say(task="words that name no phase", note="")
    say(phase="ipl")
    waiting(output, argument)


def dying(output, argument):
    print("first words\nlast words", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL)


def leaving(output, argument):
    sys.exit(7)


def half_saying(output, argument):
    print('{"verdict": {"verd', end="", flush=True)


def speaking_nonsense(output, argument):
    conclude("MAYBE")


def speaking_garbage(output, argument):
    print("Hello, this is no JSON", flush=True)
    time.sleep(LONG)


def hanging(output, argument):
    time.sleep(LONG)


def hanging_silently(output, argument):
    os.close(sys.stdout.fileno())
    time.sleep(LONG)


def ignoring_interrupts(output, argument):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    (output.parent / f"ready-{output.name}").touch()
    time.sleep(LONG)


def concluding_when_interrupted(output, argument):
    try:
        (output.parent / f"ready-{output.name}").touch()
        time.sleep(LONG)
    except KeyboardInterrupt:
        conclude("PASS")


def telling_much(output, argument):
    for number in range(20000):
        say(console=["crash", f"line {number} " + "x" * 100])
    conclude("PASS")


def warning(output, argument):
    print("a warning", file=sys.stderr)
    conclude("PASS")


def being_out_of_the_terminals_reach(output, argument):
    conclude("PASS" if os.getsid(0) == os.getpid() else "FAIL")


def main():
    job = json.load(sys.stdin)
    what, _, argument = job["plan"]["name"].partition(":")
    output = Path(job["output"])
    output.mkdir(parents=True)
    OUTPUT.append(output)
    (output / "disk.img").touch()
    (output.parent / f"started-{output.name}").touch()
    say(phase="boot")
    say(task="boot it, in other words", note="")
    if job["consoles"]:
        say(console=["crash", "hello"])
    globals()[what](output, argument)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
