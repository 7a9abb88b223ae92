"""Dumps on a raw dump partition, as zfcpdump 3 wrote them."""

import os
import struct

from .machine import SECTOR, DumpError, read_exactly
from .output import Writer, copy

# zipl's dump superblock (s390-tools zipl/include/bootmap.h)
SUPERBLOCK = struct.Struct(">9Q")
SUPERBLOCK_MAGIC = 0x5A46435044554D50
SUPERBLOCK_VERSION = 1
CSUM_SEED = 0x12345678
BUSY = b"zfcpdump busy\0"


def dump_to_partition(disk, superblock_at, form, buffer, hsa_size, sector=SECTOR):
    """Write the dump behind the superblock on ``disk``; returns Progress and the dump's place."""
    fd = os.open(disk, os.O_RDWR)
    fields = list(SUPERBLOCK.unpack(read_exactly(fd, SUPERBLOCK.size, superblock_at)))
    magic, version, start, _, dump_at, room, csum_at, csum_size, csum = fields
    if magic != SUPERBLOCK_MAGIC or version != SUPERBLOCK_VERSION:
        raise DumpError(f"no dump superblock at byte {superblock_at:#x} of {disk}")
    if cksm(read_exactly(fd, csum_size, start + csum_at)) != csum:
        raise DumpError(f"the checksum of the dump area on {disk} is wrong: not a dump partition?")
    if form.size is not None and form.size > room:
        raise DumpError(
            f"Disk too small: the dump has {form.size} bytes, the partition has room for {room}"
        )
    os.pwrite(fd, BUSY, start + dump_at)
    os.fsync(fd)
    writer = Writer(disk, base=start + dump_at, room=room, sector=sector)
    progress = copy(form, writer, buffer, hsa_size)
    fields[8] = cksm(read_exactly(fd, csum_size, start + csum_at))
    os.pwrite(fd, SUPERBLOCK.pack(*fields), superblock_at)
    os.fsync(fd)
    return progress, f"{disk} at {start + dump_at:#x}"


def cksm(data):
    """CHECKSUM instruction: 32-bit words added with end-around carry."""
    total = CSUM_SEED + sum(struct.unpack(f">{len(data) // 4}I", data))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
