"""Read a dump with libkdumpfile. The system's Python runs this, because it has the binding.

    kdumpfile_reader.py DUMP < RANGES > OPINION

RANGES is JSON, [[address, size], ...]; OPINION is JSON: whether it opened the dump ("yes", or why
not), the version's release and machine, the registers by CPU, VMCOREINFO in hexadecimal, and of
each range its memory's SHA-256, or why it has none. A value that libkdumpfile does not know is
null. Any other exit status than 0 means that there is no opinion.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import kdumpfile  # type: ignore[import-not-found,unused-ignore]  # of the other Python

# the binding since 0.5.5 (Debian sid) has other names than the one before it (Debian 12 and 13)
if hasattr(kdumpfile, "Context"):
    REFUSAL, MEMORY = kdumpfile.KdumpfileError, kdumpfile.MACHPHYSADDR
else:
    REFUSAL, MEMORY = kdumpfile.exceptions.KDumpBaseException, kdumpfile.KDUMP_MACHPHYSADDR


def opened(path: str) -> Any:
    """The dump; raises REFUSAL."""
    if not hasattr(kdumpfile, "Context"):
        return kdumpfile.kdumpfile(path)
    context = kdumpfile.Context()
    context.open(path)
    return context


def attribute(dump: Any, name: str) -> Any:
    """The value of a dotted name; None if this dump has none."""
    found = dump.attr
    for part in name.split("."):
        try:
            found = found[part]
        except (KeyError, REFUSAL):
            return None
    return found


def content(value: Any) -> bytes | None:
    """Bytes of an attribute that is text or a blob."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return bytes(value.get() if hasattr(value, "get") else value)


def registers(dump: Any, number: int) -> dict[str, str] | None:
    """Each register that libkdumpfile names, in hexadecimal."""
    known = attribute(dump, f"cpu.{number}.reg")
    return None if known is None else {name: f"{known[name]:x}" for name in known}


def digest(dump: Any, address: int, size: int) -> str:
    """SHA-256 of memory, or libkdumpfile's error message."""
    try:
        data = dump.read(MEMORY, address, size)
    except REFUSAL as error:
        return f"{type(error).__name__}: {error}"
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Print everything as one JSON document."""
    try:
        dump = opened(sys.argv[1])
    except REFUSAL as error:
        why = f"{type(error).__name__}: {error}"
        json.dump({"opened": why, "cpus": [], "memory": []}, sys.stdout)
        return
    raw = content(attribute(dump, "linux.vmcoreinfo.raw"))
    count = attribute(dump, "cpu.number") or 0
    opinion = {
        "opened": "yes",
        "machine": attribute(dump, "arch.name"),
        "page_size": attribute(dump, "arch.page_size"),
        "release": attribute(dump, "linux.uts.release"),
        "vmcoreinfo": None if raw is None else raw.hex(),
        "cpus": [registers(dump, number) for number in range(count)],
        "memory": [digest(dump, *each) for each in json.load(sys.stdin)],
    }
    json.dump(opinion, sys.stdout)


main()
