"""Disks with a dump partition, as zipl -d prepares them."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.support.evidence import (
    PAGE,
    PART_SIZE,
    PART_START,
    superblock,
)

SB_AT = PART_START + PART_SIZE - PAGE


def mbr(sb_off: int = SB_AT, kind: int = 1, device: int = 2) -> bytes:
    record = bytearray(512)
    record[0:8] = b"zIPL\0\0\0\1"
    record[0x70:0x78] = b"zIPL" + bytes([1, kind, device, 1])
    struct.pack_into(">Q", record, 0x78, sb_off)
    return bytes(record)


def disk_with(directory: Path, dump: bytes, *, first_sector: bytes = mbr()) -> Path:
    disk = directory / "disk.img"
    block = superblock(dump)
    with disk.open("wb") as image:
        image.write(first_sector)
        image.seek(PART_START)
        image.write(dump)
        image.seek(SB_AT)
        image.write(block)
    return disk
