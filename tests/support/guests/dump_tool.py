"""The dump tool, images/dump/zfcpdump, loaded on this host, and a fake /proc/vmcore."""

from __future__ import annotations

import importlib
import random
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = 4096
LOADS = [(0, 64 * PAGE), (16 * PAGE, 4 * PAGE)]  # of a core: the second is in the first
IMAGES = Path(__file__).parents[3] / "images/dump"


def load_tool() -> ModuleType:
    """The package of the dump tool; its modules are attributes."""
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(IMAGES))
    try:
        return importlib.import_module("zfcpdump")
    finally:
        sys.path.remove(str(IMAGES))
        sys.dont_write_bytecode = written


tool = load_tool()


def new_buffer(size: int) -> Any:
    """A buffer of the dump tool; size in bytes."""
    with tempfile.TemporaryDirectory() as directory:
        return tool.Buffer(size, f"{directory}/buffer")


def random_memory(loads: Sequence[tuple[int, int]], seed: int) -> Callable[[int, int], bytes]:
    """Address, size -> memory: random bytes in the first half of each PT_LOAD."""
    randomness = random.Random(seed)
    return lambda _, size: randomness.randbytes(size // 2) + bytes(size - size // 2)


def make_core(
    loads: Sequence[tuple[int, int]],
    memory: Callable[[int, int], bytes] | None = None,
    notes: bytes = b"a note",
) -> bytes:
    """An ELF core with a PT_NOTE, and then PT_LOADs (address, size)."""
    content = memory or random_memory(loads, 1)
    first = PAGE + len(notes) + -len(notes) % PAGE
    offset = first
    headers, body = b"", b""
    for address, size in loads:
        headers += struct.pack(">IIQQQQQQ", 1, 7, offset, address, address, size, size, PAGE)
        body += content(address, size)
        offset += size
    note = struct.pack(">IIQQQQQQ", 4, 0, PAGE, 0, 0, len(notes), len(notes), 4)
    count = len(loads) + 1
    ehdr = (
        b"\x7fELF\x02\x02\x01"
        + bytes(9)
        + struct.pack(">HHIQQQIHHHHHH", 4, 22, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    )
    return (ehdr + note + headers).ljust(PAGE, b"\0") + notes.ljust(first - PAGE, b"\0") + body
