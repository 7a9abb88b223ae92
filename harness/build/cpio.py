"""The cpio archive format that the kernel unpacks as initramfs.

Reference: Linux ``Documentation/driver-api/early-userspace/buffer-format.rst``, format
"newc" (magic 070701): a header of thirteen 8-digit hexadecimal fields, the name, the data, each
padded to 4 bytes; "TRAILER!!!" ends the archive.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.errors import EvidenceError

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
HEADER_SIZE = 110
_FIELDS = 13
_ALIGNMENT = 4
_BLOCK = 512


@dataclass(frozen=True)
class Entry:
    """One file system object. ``mode`` holds its type too; ``device`` is for device nodes."""

    name: str
    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)


def archive(entries: Iterable[Entry]) -> bytes:
    """An archive of ``entries``, the same bytes for the same entries: no times, no inodes."""
    out = bytearray()
    for number, entry in enumerate(entries, 1):
        _append(out, entry, inode=number)
    _append(out, Entry(TRAILER, mode=0), inode=0)
    out += bytes(-len(out) % _BLOCK)
    return bytes(out)


def entries(data: bytes) -> Iterator[Entry]:
    """The objects in an archive; raises EvidenceError naming offset and field."""
    at = 0
    while True:
        header = data[at : at + HEADER_SIZE]
        if len(header) < HEADER_SIZE or header[: len(MAGIC)] != MAGIC:
            raise EvidenceError(f"cpio: no newc header at offset {at:#x}")
        try:
            fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(_FIELDS)]
        except ValueError:
            raise EvidenceError(f"cpio: a header field at {at:#x} is no number") from None
        _, mode, uid, gid, _, _, size, _, _, major, minor, name_size, _ = fields
        name_at = at + HEADER_SIZE
        data_at = _aligned(name_at + name_size)
        if name_size == 0 or data_at + size > len(data):
            raise EvidenceError(f"cpio: the entry at {at:#x} goes past the end of the archive")
        name = os.fsdecode(data[name_at : name_at + name_size - 1])
        if name == TRAILER:
            return
        yield Entry(name, mode, data[data_at : data_at + size], uid, gid, (major, minor))
        at = _aligned(data_at + size)


def _append(out: bytearray, entry: Entry, inode: int) -> None:
    name = os.fsencode(entry.name) + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        inode,
        entry.mode,
        entry.uid,
        entry.gid,
        links,
        0,  # mtime
        len(entry.data),
        0,  # device of the archived file
        0,
        *entry.device,
        len(name),
        0,  # checksum, unused in this format
    )
    out += MAGIC + b"".join(b"%08X" % field for field in fields) + name
    out += bytes(-len(out) % _ALIGNMENT)
    out += entry.data
    out += bytes(-len(out) % _ALIGNMENT)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
