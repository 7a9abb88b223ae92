"""Partition tables, write_at together from struct, and the real fdisk."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

from harness.host.tools import find_tool

LINUX, EXTENDED, PROTECTIVE = 0x83, 0x05, 0xEE
Entry = tuple[int, int, int]  # type, start and size in sectors


def dos_sector(*entries: Entry, boot: int = 0) -> bytes:
    """A sector with a table."""
    sector = bytearray(512)
    for slot, (kind, start, size) in enumerate(entries):
        struct.pack_into("<B3xB3xII", sector, 446 + 16 * slot, boot, kind, start, size)
    sector[510:] = b"\x55\xaa"
    return bytes(sector)


def write_at(disk: Path, offset: int, data: bytes) -> None:
    with disk.open("r+b") as image:
        image.seek(offset)
        image.write(data)


def empty(disk: Path, size: int) -> Path:
    with disk.open("wb") as image:
        image.truncate(size)
    return disk


def chain(
    disk: Path, sector: int, start: int, size: int, logical: Sequence[tuple[int, int]]
) -> None:
    """A chain of tables in the extended partition at ``start``.

    ``logical`` are (start of the table in the extended partition, size), in sectors; each partition
    begins one sector behind its table.
    """
    for number, (at, length) in enumerate(logical):
        entries = [(LINUX, 1, length)]
        if number + 1 < len(logical):
            following = logical[number + 1]
            entries.append((EXTENDED, following[0], following[1] + 1))
        write_at(disk, (start + at) * sector, dos_sector(*entries))


def gpt_parts(
    sector: int,
    last: int,
    partitions: dict[int, tuple[int, int]],
    *,
    entry_size: int = 128,
    count: int = 128,
) -> dict[int, bytes]:
    """Offset -> bytes: protective table, primary and backup headers and arrays.

    ``last`` is the number of the disk's last sector, ``partitions`` are number -> first and last.
    """
    array = bytearray(entry_size * count)
    for number, (first, end) in partitions.items():
        at = entry_size * (number - 1)
        struct.pack_into("<16s16s2Q", array, at, b"type", b"own", first, end)
    blocks = -(-len(array) // sector)

    def header(my: int, other: int, entries: int) -> bytes:
        def packed(crc: int) -> bytes:
            places = (my, other, 2 + blocks, last - 1 - blocks, b"disk", entries)
            numbers = (count, entry_size, zlib.crc32(array))
            return struct.pack("<8s4I4Q16sQ3I", b"EFI PART", 0x10000, 92, crc, 0, *places, *numbers)

        return packed(zlib.crc32(packed(0)))

    return {
        0: dos_sector((PROTECTIVE, 1, min(last, 0xFFFFFFFF))),
        sector: header(1, last, 2),
        2 * sector: bytes(array),
        (last - blocks) * sector: bytes(array),
        last * sector: header(last, 1, last - blocks),
    }


def gpt_disk(
    disk: Path, size: int, sector: int, partitions: dict[int, tuple[int, int]], **shape: int
) -> Path:
    empty(disk, size)
    for offset, data in gpt_parts(sector, size // sector - 1, partitions, **shape).items():
        write_at(disk, offset, data)
    return disk


def fdisk(disk: Path, sector: int, script: str) -> list[tuple[int, int, int]]:
    """Partition ``disk`` with the real fdisk; the number, start and size in sectors that it lists.

    ``script`` are its commands, as lines.
    """
    command = [find_tool("fdisk"), "-b", str(sector)]
    subprocess.run([*command, str(disk)], input=script.encode(), check=True, capture_output=True)
    return listed(disk, sector)


def listed(disk: Path, sector: int) -> list[tuple[int, int, int]]:
    """What the real fdisk lists: number, start and size in sectors of each partition."""
    command = [find_tool("fdisk"), "-b", str(sector), "-l", "-o", "device,start,sectors"]
    done = subprocess.run([*command, str(disk)], check=True, capture_output=True)
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    return [
        (int(row[0].removeprefix(f"{disk}").lstrip("p")), int(row[1]), int(row[2]))
        for row in rows
        if row and row[0].startswith(str(disk)) and len(row) == 3
    ]
