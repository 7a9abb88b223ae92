"""Starts the process that reads the kernel in a dump, and outlives whatever becomes of it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.pdeathsig import dying_with_us, our_module
from harness.verify.kernel.facts import PARTS, KernelFacts

SECONDS = 120.0  # it takes about one, on a host that is not busy


def read_kernel(dump: Path, vmlinux: Path) -> KernelFacts:
    """What the kernel in ``dump`` says of itself; raises HostError if nothing can be started."""
    return collect([*our_module("harness.verify.kernel"), str(dump), str(vmlinux)], SECONDS)


def collect(command: Sequence[str], seconds: float) -> KernelFacts:
    """What ``command`` told until it ended, or was ended after so many ``seconds``.

    Whatever it did not come to is a fault that says what became of it.
    """
    process = subprocess.Popen(
        dying_with_us(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
            end = _end(process.returncode, err)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            end = f"it took longer than {seconds:g} s"
        except BaseException:
            process.kill()
            raise
    return _facts(out, end)


def _facts(out: bytes, end: str) -> KernelFacts:
    told: dict[str, object] = {}
    faults: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for line in out.splitlines():
        try:
            part = json.loads(line)
        except ValueError:  # it died while it wrote
            continue
        if not isinstance(part, dict):
            continue
        faults |= part.pop("faults", {})
        unknown |= part.pop("unknown", {})
        told |= part
    missing = PARTS.keys() - told.keys() - faults.keys() - unknown.keys()
    faults |= dict.fromkeys(missing, f"drgn did not come to it: {end}")
    try:
        return TypeAdapter(KernelFacts).validate_python(
            told | {"faults": faults, "unknown": unknown}
        )
    except ValidationError as error:
        return KernelFacts(faults=dict.fromkeys(PARTS, f"drgn's process told nonsense: {error}"))


def _end(code: int, err: bytes) -> str:
    if code < 0:
        return f"it died of {signal.Signals(-code).name}"
    last = err.decode(errors="replace").strip().rpartition("\n")[2]
    return f"it ended with {code}: {last or 'without a word'}"
