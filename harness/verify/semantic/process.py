"""Start the process that reads the kernel in a dump; its death does not harm this process."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.deadline import Deadline
from harness.errors import HostError
from harness.host.child import dying_with_us, our_module
from harness.verify.semantic.facts import PARTS, KernelFacts
from harness.verify.witnesses.facts import PARTS as SYSTEM_PARTS
from harness.verify.witnesses.facts import SystemFacts

SECONDS = 120.0  # it takes about one, on a host that is not busy
_HINT = "the dump was not verified; zharness verify EVIDENCE does it again"


Facts = TypeVar("Facts")

_READER = "harness.verify.semantic.drgn_reader"


def read_kernel(dump: Path, vmlinux: Path) -> KernelFacts:
    """The facts of the kernel in ``dump``; raises what :func:`collect` raises."""
    return collect([*our_module(_READER), str(dump), str(vmlinux)], SECONDS)


def read_system(dump: Path, vmlinux: Path, crash: Path, modules: Path | None) -> SystemFacts:
    """What the witnesses in the directory ``crash`` tell, as ``dump`` has it.

    ``modules`` is the folder below which the files of modules are. Raises as :func:`collect`.
    """
    given = [dump, vmlinux, crash, *([] if modules is None else [modules])]
    command = [*our_module(_READER), *map(str, given)]
    return _collected(command, SECONDS, SystemFacts, SYSTEM_PARTS)


def collect(command: Sequence[str], seconds: float) -> KernelFacts:
    """The facts that ``command`` prints. What it could not read of the dump is in ``faults``.

    Raises HostError if it does not reach every part: killed, out of memory, crashed, or not done
    after ``seconds``. That is not the dump's fault.
    """
    return _collected(command, seconds, KernelFacts, PARTS)


def _collected(
    command: Sequence[str], seconds: float, kind: type[Facts], parts: Mapping[str, str]
) -> Facts:
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
    told, missing = _told(out, parts)
    if missing or process.returncode:
        raise HostError(
            f"drgn's process {_end(process.returncode, err)}, so the kernel in the dump was not "
            "read to its end",
            hint=_HINT,
        )
    try:
        return TypeAdapter(kind).validate_python(told)
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


def _told(out: bytes, wanted: Mapping[str, str]) -> tuple[dict[str, object], set[str]]:
    """The fields of the facts, and the parts of ``wanted`` that are missing."""
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
    missing = wanted.keys() - parts.keys() - faults.keys() - unknown.keys()
    return parts | {"faults": faults, "unknown": unknown}, missing


def _end(code: int, err: bytes) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    last = err.decode(errors="replace").strip().rpartition("\n")[2]
    return f"ended with {code}: {last or 'without a word'}"
