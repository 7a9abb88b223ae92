"""The harness's own part of an SDIAS request, with the plugin and without QEMU.

A small C program does what the plugin does for QEMU; the firmware answers as in a run, and stores
a page each time. So this is a request without the guest's own code.

    python benchmarks/round_trip.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from harness.firmware.hsa import Hsa
from harness.firmware.service_call import SdiasAnswered, ServiceCalls
from harness.host.paths import data_dir
from harness.qemu.held_cpu import HeldCpu
from harness.qemu.ram import GuestRam
from harness.s390x import sclp
from harness.s390x.lowcore import EXT_INT_SERVICE_SIGNAL, EXT_PARAMS
from tests.support.cpus import make_cpu
from tests.support.sdias import SCCB, put_sdias

MEMORY = 16 << 20
HANDLER = 0x7FE00001230
COUNT = 100_000
MOST_SECONDS = 60


def program(place: Path) -> Path:
    """The C program, compiled."""
    built = place / "round-trip"
    sources = (Path(__file__).with_suffix(".c"), data_dir() / "images/plugin/hold.c")
    flags = ("-O2", "-DPLUGIN_VERSION=1", "-o", built)
    subprocess.run(["gcc", *flags, *sources], check=True)
    return built


def microseconds(built: Path, count: int) -> float:
    """For each of ``count`` requests."""
    with GuestRam(MEMORY) as ram, GuestRam(MEMORY) as saved, HeldCpu() as held:
        saved.write(0, bytes(range(256)) * (MEMORY // 256))
        calls = ServiceCalls(ram, Hsa(saved, MEMORY // 2, make_cpu(0)))
        put_sdias(ram, page=100)
        ram.write(EXT_PARAMS, SCCB.to_bytes(4, "big") + bytes(2) + b"\x24\x01")
        held.arm(HANDLER, EXT_PARAMS, 0, EXT_INT_SERVICE_SIGNAL)
        theirs = (held.control, held.theirs.fileno(), ram.fd)
        control, socket, memory = map(str, theirs)
        argv = [built, hex(HANDLER), count, memory, MEMORY, SCCB, sclp.SDIAS_SCCB_SIZE]
        plugin = (f"control={control}", f"socket={socket}", f"ram={memory}", f"size={MEMORY}")
        ready, other = os.pipe()
        with subprocess.Popen(
            [*map(str, argv), *plugin], pass_fds=theirs, stdout=subprocess.PIPE, text=True
        ) as child:
            for _ in range(count):
                asked = held.wait(ready, MOST_SECONDS)
                if asked is None or asked.interruption is None:
                    child.kill()
                    raise SystemExit("the program does not ask")
                played = calls.completed(int.from_bytes(asked.interruption[:4], "big"))
                assert isinstance(played, SdiasAnswered)
                assert played.stored == 1
                held.go_on()
            said, _ = child.communicate(timeout=MOST_SECONDS)
        os.close(ready)
        os.close(other)
        if child.returncode:
            raise SystemExit(f"the program ended with status {child.returncode}")
        return float(said) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        built = program(Path(place))
        found = [microseconds(built, COUNT) for _ in range(given.times)]
    print(f"{median(found):.1f} us for each request (median of {given.times}; {COUNT} each)")


if __name__ == "__main__":
    main()
