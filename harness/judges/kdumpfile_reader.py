"""Read a dump with libkdumpfile. The system's Python runs this, because it has the binding.

    kdumpfile_reader.py DUMP < RANGES > OPINION

RANGES is JSON, [[address, size], ...]; OPINION is JSON: the version's release and machine, the
registers by CPU, VMCOREINFO in hexadecimal, and of each range its memory's SHA-256, or why it has
none. A value that libkdumpfile does not know is null.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import kdumpfile  # type: ignore[import-not-found,unused-ignore]  # of the other Python


def attribute(dump: Any, name: str) -> Any:
    """The value of a dotted name; None if this dump has none."""
    found = dump.attr
    for part in name.split("."):
        try:
            found = found[part]
        except (KeyError, kdumpfile.exceptions.KDumpBaseException):
            return None
    return found


def registers(dump: Any, number: int) -> dict[str, str] | None:
    """Each register that libkdumpfile names, in hexadecimal."""
    known = attribute(dump, f"cpu.{number}.reg")
    return None if known is None else {name: f"{known[name]:x}" for name in known}


def digest(dump: Any, address: int, size: int) -> str:
    """SHA-256 of memory, or libkdumpfile's error message."""
    try:
        data = dump.read(kdumpfile.KDUMP_MACHPHYSADDR, address, size)
    except kdumpfile.exceptions.KDumpBaseException as error:
        return f"{type(error).__name__}: {error}"
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Print everything as one JSON document."""
    dump = kdumpfile.kdumpfile(sys.argv[1])
    raw = attribute(dump, "linux.vmcoreinfo.raw")
    count = attribute(dump, "cpu.number") or 0
    opinion = {
        "machine": attribute(dump, "arch.name"),
        "page_size": attribute(dump, "arch.page_size"),
        "release": attribute(dump, "linux.uts.release"),
        "vmcoreinfo": None if raw is None else bytes(raw).hex(),
        "cpus": [registers(dump, number) for number in range(count)],
        "memory": [digest(dump, *each) for each in json.load(sys.stdin)],
    }
    json.dump(opinion, sys.stdout)


main()
