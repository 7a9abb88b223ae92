"""Read a dump with libkdumpfile, if this host has its Python binding, and compare.

crash-python and drgn can use this library. It shares no code with the harness. Debian's
package is python3-libkdumpfile, for the system's own Python.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.dump.formats.table import format_named
from harness.dump.reader import Dump, without
from harness.dump.refusal import OtherReader
from harness.errors import HostError
from harness.host.child import dying_with_us
from harness.s390x.cpu import DumpedCpu
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "libkdumpfile", "facts, registers and blocks"
PYTHON = "/usr/bin/python3"
SECONDS_PER_GIB, SECONDS = 60.0, 60.0
BLOCK = 1 << 20
_READER = Path(__file__).with_name("kdumpfile_reader.py")


@dataclass(frozen=True)
class Opinion:
    """What the reader's process found; a value that libkdumpfile does not know is None."""

    facts: Mapping[str, object]
    cpus: tuple[Mapping[str, str] | None, ...]
    memory: tuple[str, ...]


def check(path: Path, dump: Dump) -> CheckResult:
    """Compare every fact, register and block of memory that it finds with what our reader finds.

    ``path`` is the dump's file. Skipped, with the reason, if the library is not installed or does
    not know the format, or no dump of this origin; raises HostError if its process fails.
    """
    if not format_named(dump.format).libkdumpfile or dump.container:
        what = dump.format if not dump.container else f"a dump in {dump.container}"
        return CheckResult.skipped(CHECK, UNIT, f"libkdumpfile does not know {what}")
    if not installed():
        why = "libkdumpfile is not installed: apt-get install python3-libkdumpfile"
        return CheckResult.skipped(CHECK, UNIT, why)
    for refusal in dump.refusals:
        if refusal.usual and OtherReader.LIBKDUMPFILE in refusal.readers:
            return CheckResult.skipped(CHECK, UNIT, f"{refusal}, as in other dumps of QEMU")
    return compared(path, dump)


def compared(path: Path, dump: Dump) -> CheckResult:
    """The same for any format, whether or not libkdumpfile is known to read it correctly."""
    blocks = list(_blocks(dump))
    return compare(dump, blocks, ask(path, blocks))


@cache
def installed() -> bool:
    """Whether the system's Python has the binding."""
    command = [PYTHON, "-I", "-c", "import kdumpfile"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def ask(path: Path, blocks: list[tuple[int, int]]) -> Opinion:
    """Let libkdumpfile read ``blocks`` (address and size) of a dump, in a process of its own."""
    size = sum(size for _, size in blocks)
    command = dying_with_us([PYTHON, "-I", str(_READER), str(path)])
    try:
        run = subprocess.run(
            command,
            input=json.dumps(blocks),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS + SECONDS_PER_GIB * size / (1 << 30),
        )
        told: dict[str, Any] = json.loads(run.stdout) if run.returncode == 0 else {}
    except subprocess.TimeoutExpired as error:
        raise HostError(f"libkdumpfile did not read {path} within {error.timeout:.0f} s") from error
    except ValueError as error:
        raise HostError(f"libkdumpfile's reader told no JSON of {path}: {error}") from error
    if run.returncode:
        last = run.stderr.strip().splitlines()[-1:] or [f"exit status {run.returncode}"]
        raise HostError(
            f"libkdumpfile's reader failed on {path}: {last[0]}",
            hint=f"is its version a new one? try: {PYTHON} {_READER} {path}",
        )
    cpus, memory = tuple(told.pop("cpus")), tuple(told.pop("memory"))
    return Opinion(told, cpus, memory)


def compare(dump: Dump, blocks: list[tuple[int, int]], opinion: Opinion) -> CheckResult:
    """Compare what it found with what our reader finds."""
    compared, messages = 0, []
    for what, ours, theirs in _pairs(dump, blocks, opinion):
        if theirs is None:
            continue
        compared += 1
        if ours != theirs:
            messages.append(f"{what}: libkdumpfile has {theirs}, we {ours}")
    findings = tuple(Finding(CHECK, FindingKind.OPINION_DIFFERS, message) for message in messages)
    return CheckResult(CHECK, compared, UNIT, findings)


def _blocks(dump: Dump) -> Iterator[tuple[int, int]]:
    """Of the memory in the file: libkdumpfile reads nothing in place of what was left out."""
    for piece in without(dump.memory_map, dump.left_out):
        for address in range(piece.start, piece.end, BLOCK):
            yield address, min(BLOCK, piece.end - address)


def _pairs(
    dump: Dump, blocks: list[tuple[int, int]], opinion: Opinion
) -> Iterator[tuple[str, object, object]]:
    """Tuples: the name, our value, and its value or None."""
    facts = opinion.facts
    yield "whether it is a dump", "yes", facts["opened"]
    yield "machine", "s390x", facts.get("machine")
    yield "page size", 4096, facts.get("page_size")
    vmcoreinfo = dump.vmcoreinfo
    yield "VMCOREINFO", None if vmcoreinfo is None else vmcoreinfo.hex(), facts.get("vmcoreinfo")
    if opinion.cpus:
        yield "CPUs", len(dump.cpus), len(opinion.cpus)
    for number, (ours, theirs) in enumerate(zip(dump.cpus, opinion.cpus, strict=False)):
        for name, value in _registers(ours).items():
            yield f"CPU {number}: {name}", f"{value:x}", (theirs or {}).get(name)
    for (address, size), digest in zip(blocks, opinion.memory, strict=False):
        own = hashlib.sha256(dump.read(address, size)).hexdigest()
        yield f"memory at {address:#x}-{address + size - 1:#x}", own, digest


def _registers(cpu: DumpedCpu) -> dict[str, int]:
    """By libkdumpfile's names (src/kdumpfile/s390x.c)."""
    return {
        "pswm": cpu.psw_mask,
        "pswa": cpu.psw_addr,
        **{f"r{number}": value for number, value in enumerate(cpu.gprs)},
        **{f"a{number}": value for number, value in enumerate(cpu.acrs)},
    }
