"""Boot records that zipl writes on a SCSI disk, and the zfcpdump partition superblock.

References: s390-tools ``zipl/include/boot.h`` (struct scsi_mbr, boot_info), ``include/boot``,
``zipl/src/bootmap.c`` (component tables) and ``zdump/zfcpdump.h`` (struct zfcpdump_sb /
``zipl/include/bootmap.h`` struct scsi_dump_sb). Everything is big-endian.
"""

from __future__ import annotations

from dissect.cstruct import cstruct

BLOCK_SIZE = 512
MAGIC = b"zIPL"

COMPONENT_IPL = 0  # component table header type: what a boot firmware may load
COMPONENT_DUMP = 1
BOOT_INFO_DUMP = 1  # boot_info.bp_type
BOOT_INFO_SCSI = 2  # boot_info.dev_type

DUMP_SB_MAGIC = 0x5A46435044554D50  # "ZFCPDUMP"
DUMP_SB_CSUM_SEED = 0x12345678
DUMP_SB_CSUM_SIZE = 4096

DEFINITIONS = """
struct scsi_blockptr {
    uint64 blockno;
    uint16 size;
    uint16 blockct;
    char   reserved[4];
};

struct component_header {
    char  magic[4];
    uint8 type;
    char  reserved[27];
};

struct scsi_mbr {
    char          magic[4];
    uint32        version_id;
    char          reserved_08[8];
    scsi_blockptr program_table_pointer;
    char          reserved_20[0x50];
    char          boot_info_magic[4];
    uint8         boot_info_version;
    uint8         bp_type;
    uint8         dev_type;
    uint8         flags;
    uint64        sb_off;
};

struct scsi_dump_sb {
    uint64 magic;
    uint64 version;
    uint64 part_start;
    uint64 part_size;
    uint64 dump_offset;
    uint64 dump_size;
    uint64 csum_offset;
    uint64 csum_size;
    uint64 csum;
};
"""

c_zipl = cstruct(DEFINITIONS, endian=">")

DUMP_SB_SIZE = len(c_zipl.scsi_dump_sb)


def cksm(data: bytes, seed: int = DUMP_SB_CSUM_SEED) -> int:
    """CHECKSUM (CKSM) over whole words: 32-bit add with end-around carry.

    Principles of Operation, chapter 7, CHECKSUM. The sum of big-endian words modulo 2**32 - 1
    is what repeated end-around carry yields; a non-zero sum never folds to zero.
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
