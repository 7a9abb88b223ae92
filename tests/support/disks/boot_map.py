"""Boot maps as zipl writes them, in a few blocks at the start of a disk image."""

from __future__ import annotations

import struct
from pathlib import Path

PROGRAMS, COMPONENTS, SEGMENTS, DATA = 20, 21, 22, 40  # block numbers
KERNEL, PARAMETERS, PARMLINE = 0x10000, 0x9000, 0x24C000
_EXECUTE, _LOAD = 1, 2


def pointer(block: int, count: int = 1, size: int = 512) -> bytes:
    return struct.pack(">QHH4x", block, size, count - 1)


def add_boot_map(disk: Path, parmline: str, *, sector: int = 512, dump: bool = False) -> None:
    """Write kernel, stage 3 parameters and parmline, and what leads to them."""
    contents = (
        (KERNEL, b"kernel".ljust(2 * sector, b"\1")),
        (PARAMETERS, struct.pack(">Q", PARMLINE)),
        (PARMLINE, parmline.encode()),
    )
    blocks = {
        PROGRAMS: b"zIPL".ljust(16, b"\0") + pointer(COMPONENTS, size=sector),
        COMPONENTS: b"zIPL" + bytes([dump]).ljust(28, b"\0"),
    }
    at = DATA
    for number, (address, content) in enumerate(contents):
        count = max(1, -(-len(content) // sector))
        blocks[SEGMENTS + number] = pointer(at, count, sector)
        blocks[at] = content
        head = pointer(SEGMENTS + number, size=sector) + bytes(7) + bytes([_LOAD])
        blocks[COMPONENTS] += head + struct.pack(">Q", address)
        at += count
    blocks[COMPONENTS] += bytes(23) + bytes([_EXECUTE]) + struct.pack(">Q", 0x8000A000)
    with disk.open("r+b") as file:
        file.write(b"zIPL\0\0\0\1")
        file.seek(0x10)
        file.write(pointer(PROGRAMS, size=sector))
        for number, content in blocks.items():
            file.seek(number * sector)
            file.write(content.ljust(max(1, -(-len(content) // sector)) * sector, b"\0"))
