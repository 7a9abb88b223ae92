"""A module compiled for an initramfs."""

from __future__ import annotations

import stat
import sys

from harness.images.initramfs.bytecode import Interpreter, precompiled
from harness.images.initramfs.cpio import Entry

THIS = f"python{sys.version_info[0]}.{sys.version_info[1]}"
MINE = Interpreter((sys.executable,), THIS.removeprefix("python"))
MODULE = b'''"""Doc."""
NAMES = {"a", "b", "c"}
FIXED = frozenset(NAMES) | {"not an identifier", "d"}

def double(x):
    return 2 * x if x in {"a", "not an identifier"} else x
'''


def file(name: str, data: bytes = MODULE) -> Entry:
    return Entry(name, stat.S_IFREG | 0o644, data, uid=1, gid=2)


def one(entry: Entry) -> Entry:
    (only,) = precompiled([entry], lambda: MINE)
    return only
