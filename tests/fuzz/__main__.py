"""Damage right dumps at random, many times, and check how readers and commands handle them.

    python -m tests.fuzz [--count 20000] [--seed 390] [--reader NAME]

A reader may accept an input or refuse it with the one error for damaged files. Everything else is
an escape: another exception, or too much CPU time or memory. An escape is printed with the number
that repeats it. The exit code is 1 if there was an escape. It uses one core and no QEMU.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import tempfile
from pathlib import Path

from tests.fuzz.attempt import memory_limit
from tests.fuzz.campaign import campaign
from tests.fuzz.commands import all_commands
from tests.fuzz.seeds import all_readers

_SHOWN = 5
_HANG = 120  # seconds in which no Python code runs, as in a C function


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=20000, help="inputs for each reader")
    parser.add_argument("--seed", type=int, default=390)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--reader", help="only this reader or command")
    options = parser.parse_args()
    faulthandler.enable()
    rows = (*all_readers(), *all_commands())
    chosen = [item for item in rows if options.reader in (None, item.name)]
    print("| reader | inputs | accepted | refused | escapes | slowest, ms of CPU |")
    print("|---|---|---|---|---|---|", flush=True)
    escaped = False
    with tempfile.TemporaryDirectory() as scratch, memory_limit():
        for reader in chosen:
            numbers = range(options.first, options.first + options.count)
            tally = campaign(
                reader,
                options.seed,
                numbers,
                Path(scratch),
                lambda: faulthandler.dump_traceback_later(_HANG, exit=True),
            )
            print(tally.row(reader.name), flush=True)
            for number, why in tally.escapes[:_SHOWN]:
                print(f"{reader.name}, input {number}: {why}", file=sys.stderr, flush=True)
            escaped |= bool(tally.escapes)
    faulthandler.cancel_dump_traceback_later()
    return int(escaped)


if __name__ == "__main__":
    sys.exit(main())
