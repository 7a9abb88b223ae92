"""Disks with a file system, made by mke2fs and debugfs."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from harness.host.tools import find_tool

PARTITION_AT, PARTITION_SIZE = 1 << 20, 15 << 20


def partition_table(*partitions: tuple[int, int]) -> bytes:
    """A DOS partition table; (start, size) in sectors."""
    sector = bytearray(512)
    for number, (start, size) in enumerate(partitions):
        struct.pack_into("<4xB3xII", sector, 446 + 16 * number, 0x83, start, size)
    sector[510:] = b"\x55\xaa"
    return bytes(sector)


def debugfs(disk: Path, *requests: str) -> None:
    for request in requests:
        subprocess.run(
            [find_tool("debugfs"), "-w", "-R", request, f"{disk}?offset={PARTITION_AT}"],
            check=True,
            capture_output=True,
        )


def make_disk(directory: Path, kind: str) -> Path:
    disk = directory / "disk.img"
    with disk.open("wb") as image:
        image.truncate(PARTITION_AT + PARTITION_SIZE)
        image.write(partition_table((PARTITION_AT // 512, PARTITION_SIZE // 512)))
    subprocess.run(
        [
            *(find_tool("mke2fs"), "-q", "-F", "-t", kind, "-E", f"offset={PARTITION_AT}"),
            *(str(disk), f"{PARTITION_SIZE >> 10}k"),
        ],
        check=True,
        capture_output=True,
    )
    return disk


def add(disk: Path, name: str, content: bytes, mtime: int) -> None:
    source = disk.parent / "source"
    source.write_bytes(content)
    debugfs(disk, f"write {source} {name}", f"set_inode_field {name} mtime @{mtime}")
