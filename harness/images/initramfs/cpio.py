"""The cpio archive format that the kernel unpacks as initramfs.

Reference: Linux ``Documentation/driver-api/early-userspace/buffer-format.rst``, format
"newc" (magic 070701): a header of thirteen 8-digit hexadecimal fields, the name, the data, each
padded to 4 bytes; "TRAILER!!!" ends the archive. The names of one file follow one another with
the same inode number, and the last one has the data (Linux ``usr/gen_init_cpio.c``).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from harness.errors import EvidenceError, UsageError

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
HEADER_SIZE = 110
ALIGNMENT = 4
_FIELDS = 13
_HEADER = re.compile(MAGIC + rb"[0-9A-Fa-f]{%d}" % (8 * _FIELDS))
_BLOCK = 512


@dataclass(frozen=True)
class Entry:
    """One file system object. ``mode`` holds its type too; ``device`` is for device nodes,
    ``links`` are further names of a regular file.
    """

    name: str
    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)
    links: tuple[str, ...] = ()


def archive(entries: Iterable[Entry]) -> bytes:
    """An archive of ``entries``, the same bytes for the same entries: no times, no inodes.

    Raises UsageError for an entry that the format cannot hold.
    """
    out = bytearray()
    for inode, entry in enumerate(entries, 1):
        names = (entry.name, *entry.links)
        if TRAILER in names:
            raise UsageError(f"cpio: nothing can be named {TRAILER}, which ends an archive")
        for name in names[:-1]:
            _append(out, replace(entry, name=name, data=b""), inode, len(names))
        _append(out, replace(entry, name=names[-1]), inode, len(names))
    _append(out, Entry(TRAILER, mode=0), inode=0, names=1)
    out += bytes(-len(out) % _BLOCK)
    return bytes(out)


def entries(data: bytes) -> Iterator[Entry]:
    """The objects in an archive; raises EvidenceError naming the offset."""
    awaited: list[str] = []  # names of the file whose data comes with its last name
    awaited_inode = 0
    for at, inode, count, entry in _headers(data):
        if awaited and (inode != awaited_inode or entry.name == TRAILER):
            raise EvidenceError(f"cpio: not all names of a file are there before offset {at:#x}")
        if count > len(awaited) + 1 and stat.S_ISREG(entry.mode):
            awaited.append(entry.name)
            awaited_inode = inode
            continue
        if entry.name == TRAILER:
            return
        name, *links = (*awaited, entry.name)
        awaited.clear()
        yield replace(entry, name=name, links=tuple(links))


def _headers(data: bytes) -> Iterator[tuple[int, int, int, Entry]]:
    """Offset, inode number and link count with each entry, the trailer included."""
    at = 0
    while True:
        header = data[at : at + HEADER_SIZE]
        if not _HEADER.fullmatch(header):
            raise EvidenceError(f"cpio: no newc header at offset {at:#x}")
        fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(_FIELDS)]
        inode, mode, uid, gid, count, _, size, _, _, major, minor, name_size, _ = fields
        name_at = at + HEADER_SIZE
        data_at = _aligned(name_at + name_size)
        name, end, _ = data[name_at : name_at + name_size].partition(b"\0")
        if len(name) + len(end) != name_size or not end:
            raise EvidenceError(f"cpio: the name at offset {name_at:#x} does not end with its size")
        if data_at + size > len(data):
            raise EvidenceError(f"cpio: the entry at {at:#x} goes past the end of the archive")
        content = data[data_at : data_at + size]
        yield at, inode, count, Entry(os.fsdecode(name), mode, content, uid, gid, (major, minor))
        at = _aligned(data_at + size)


def _append(out: bytearray, entry: Entry, inode: int, names: int) -> None:
    name = os.fsencode(entry.name) + b"\0"
    fields = (
        inode,
        entry.mode,
        entry.uid,
        entry.gid,
        2 if stat.S_ISDIR(entry.mode) else names,
        0,  # mtime
        len(entry.data),
        0,  # device of the archived file
        0,
        *entry.device,
        len(name),
        0,  # checksum, unused in this format
    )
    if b"\0" in name[:-1] or not all(0 <= field < 1 << 32 for field in fields):
        raise UsageError(f"cpio: {entry.name!r} has a name, a number or a size that does not fit")
    out += MAGIC + b"".join(b"%08X" % field for field in fields) + name
    out += bytes(-len(out) % ALIGNMENT)
    out += entry.data
    out += bytes(-len(out) % ALIGNMENT)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
