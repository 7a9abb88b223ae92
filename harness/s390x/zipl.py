"""Boot records that zipl writes on a SCSI disk, what they load, and the zfcpdump superblock.

References: s390-tools ``zipl/include/boot.h`` (struct scsi_mbr, boot_info), ``include/boot``,
``zipl/src/bootmap.c`` (component tables) and ``zdump/zfcpdump.h`` (struct zfcpdump_sb /
``zipl/include/bootmap.h`` struct scsi_dump_sb). Everything is big-endian.
"""

from __future__ import annotations

from harness.s390x.layouts.c_zipl import c_zipl

BLOCK_SIZE = 512  # in which zipl's pointers count on nearly all disks: the size of a sector
SECTOR_SIZES = (BLOCK_SIZE, 4096)  # of SCSI and NVMe disks
MAGIC = b"zIPL"

# sectors that ``zipl -d`` keeps free for itself, beside kernel and ramdisk: bootmap.c takes the
# number of bytes IMAGE_LOAD_ADDRESS for a number of blocks (estimate_scsi_dump_size)
RESERVED_SECTORS = 0x10000

COMPONENT_IPL = 0  # component table header type: the boot firmware may load it
COMPONENT_DUMP = 1
BOOT_INFO_DUMP = 1  # boot_info.bp_type
BOOT_INFO_SCSI = 2  # boot_info.dev_type

DUMP_SB_MAGIC = 0x5A46435044554D50  # "ZFCPDUMP"
DUMP_SB_CSUM_SEED = 0x12345678
DUMP_SB_CSUM_SIZE = 4096

# a kernel that can be loaded: arch/s390/boot/head.S (Linux 6.12), EP_OFFSET, EP_STRING
ENTRY_OFFSET = 0x10008
ENTRY_MARK = b"S390EP"

DUMP_SB_SIZE = len(c_zipl.scsi_dump_sb)


def cksm(data: bytes, seed: int = DUMP_SB_CSUM_SEED) -> int:
    """CHECKSUM (CKSM) over whole words: 32-bit add with end-around carry.

    Principles of Operation, chapter 7, CHECKSUM. Repeated end-around carry gives the sum of the
    big-endian words modulo 2**32 - 1, but a sum that is not zero never becomes zero.
    Raises ValueError unless ``data`` is a multiple of 4 bytes.
    """
    if len(data) % 4:
        raise ValueError(f"CKSM wants whole words, not {len(data)} bytes")
    total = seed
    for at in range(0, len(data), 4):
        total += int.from_bytes(data[at : at + 4], "big")
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
