"""Layout of zipl's boot records and of the zfcpdump partition superblock. Big-endian.

References: s390-tools ``zipl/include/boot.h`` (struct scsi_mbr, boot_info), ``zipl/src/bootmap.c``
(component tables), ``zdump/zfcpdump.h`` (struct zfcpdump_sb) and ``zipl/include/bootmap.h`` (struct
scsi_dump_sb). The field names come from there.
"""

from __future__ import annotations

from dissect.cstruct import cstruct

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
