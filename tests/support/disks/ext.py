"""Disks with a file system, made by mke2fs and debugfs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.host.tools import find_tool
from tests.support.disks.tables import LINUX, dos_sector

PARTITION_AT, PARTITION_SIZE = 1 << 20, 15 << 20


def partition_table(*partitions: tuple[int, int]) -> bytes:
    """A DOS partition table; (start, size) in sectors."""
    return dos_sector(*((LINUX, start, size) for start, size in partitions))


def make_file_system(disk: Path, kind: str, offset: int, size: int) -> None:
    """An ext file system of ``size`` bytes within ``disk``."""
    subprocess.run(
        [
            *(find_tool("mke2fs"), "-q", "-F", "-t", kind, "-E", f"offset={offset}"),
            *(str(disk), f"{size >> 10}k"),
        ],
        check=True,
        capture_output=True,
    )


def debugfs(disk: Path, *requests: str, offset: int = PARTITION_AT) -> None:
    for request in requests:
        subprocess.run(
            [find_tool("debugfs"), "-w", "-R", request, f"{disk}?offset={offset}"],
            check=True,
            capture_output=True,
        )


def make_disk(directory: Path, kind: str) -> Path:
    disk = directory / "disk.img"
    with disk.open("wb") as image:
        image.truncate(PARTITION_AT + PARTITION_SIZE)
        image.write(partition_table((PARTITION_AT // 512, PARTITION_SIZE // 512)))
    make_file_system(disk, kind, PARTITION_AT, PARTITION_SIZE)
    return disk


def add(disk: Path, name: str, content: bytes, mtime: int, offset: int = PARTITION_AT) -> None:
    source = disk.parent / "source"
    source.write_bytes(content)
    requests = (f"write {source} {name}", f"set_inode_field {name} mtime @{mtime}")
    debugfs(disk, *requests, offset=offset)
