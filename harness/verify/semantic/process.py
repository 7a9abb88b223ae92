"""Start the process that reads the kernel in a dump; its death does not harm this process."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.deadline import Deadline
from harness.errors import HostError
from harness.host.child import dying_with_us, our_module
from harness.verify.semantic.facts import PARTS, KernelFacts

SECONDS = 120.0  # it takes about one, on a host that is not busy
_HINT = "the dump was not verified; zharness verify EVIDENCE does it again"


def read_kernel(dump: Path, vmlinux: Path) -> KernelFacts:
    """The facts of the kernel in ``dump``; raises what :func:`collect` raises."""
    return collect(
        [*our_module("harness.verify.semantic.drgn_reader"), str(dump), str(vmlinux)], SECONDS
    )


def collect(command: Sequence[str], seconds: float) -> KernelFacts:
    """The facts that ``command`` prints. What it could not read of the dump is in ``faults``.

    Raises HostError if it does not reach every part: killed, out of memory, crashed, or not done
    after ``seconds``. That is not the dump's fault.
    """
    process = subprocess.Popen(
        dying_with_us(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            out, err = _communicate(process, Deadline(seconds))
        finally:
            process.kill()
    told, missing = _told(out)
    if missing or process.returncode:
        raise HostError(
            f"drgn's process {_end(process.returncode, err)}, so the kernel in the dump was not "
            "read to its end",
            hint=_HINT,
        )
    try:
        return TypeAdapter(KernelFacts).validate_python(told)
    except ValidationError as error:
        what = error.errors()[0]
        raise HostError(f"drgn's process told nonsense: {what['loc']}: {what['msg']}") from error


def _communicate(process: subprocess.Popen[bytes], deadline: Deadline) -> tuple[bytes, bytes]:
    while True:
        try:
            return process.communicate(timeout=deadline.remaining)
        except subprocess.TimeoutExpired as error:
            if deadline.expired:
                raise HostError(
                    f"drgn's process was not done after {deadline.seconds:g} s", hint=_HINT
                ) from error


def _told(out: bytes) -> tuple[dict[str, object], set[str]]:
    """The fields of KernelFacts, and the parts that are missing."""
    parts: dict[str, object] = {}
    faults: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for line in out.splitlines():
        try:
            part = json.loads(line)
        except ValueError:  # it died while it wrote a line
            continue
        if isinstance(part, dict):
            faults |= part.pop("faults", {})
            unknown |= part.pop("unknown", {})
            parts |= part
    missing = PARTS.keys() - parts.keys() - faults.keys() - unknown.keys()
    return parts | {"faults": faults, "unknown": unknown}, missing


def _end(code: int, err: bytes) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    last = err.decode(errors="replace").strip().rpartition("\n")[2]
    return f"ended with {code}: {last or 'without a word'}"
