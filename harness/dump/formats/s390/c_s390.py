"""Layout of the s390 stand-alone dump, plain and extended.

References: s390-tools ``include/dump/s390_dump.h`` (commit 23e9156f43fa, 2023), before that
``zdump/df_s390.h``; the writers are ``zipl/boot/stage2dump.c`` and ``eckd2dump_sv.c``. The field
names come from there.
"""

from __future__ import annotations

from dissect.cstruct import cstruct

DF_S390_MAGIC = bytes.fromhex("a8190173618f23fd")
DF_S390_MAGIC_EXT = bytes.fromhex("a8190173618f23fe")
DF_S390_HDR_SIZE = 0x1000
DF_S390_EM_STR = b"DUMP_END"
DF_S390_CPU_MAX = 512
DF_S390_ARCH_64 = 2
LC_VEC_VERSION = 5  # the plain format has prefixes in its header from this version on
LC_VEC_OFFSET = 0x800

DUMP_SEGM_ZLIB_ENTSIZE = 1 << 20
DUMP_SEGM_ZLIB_MAXENTS = 1011
DUMP_SEGM_ENTRY_UNCOMPRESSED = 0x8000_0000
SEGM_HDR_SIZE = 0x1000
ENTRY_OFFSET = 0x34  # of entry_offset[], u32, which fills the rest of the segment header
BLOCK = 4096  # bytes of a disk block, the unit of the extended format, on most ECKD disks
SECTOR = 512  # bytes of a disk block on SCSI disks
OTHER_BLOCKS = (SECTOR, 1024, 2048)

DEFINITIONS = """
struct df_s390_hdr {
    char   magic[8];
    uint32 version;
    uint32 hdr_size;
    uint32 dump_level;
    uint32 page_size;
    uint64 mem_size;
    uint64 mem_start;
    uint64 mem_end;
    uint32 num_pages;
    uint32 pad;
    uint64 tod;
    uint64 cpu_id;
    uint32 arch;
    uint32 volnr;
    uint32 build_arch;
    uint64 mem_size_real;
    uint8  mvdump;
    uint16 cpu_cnt;
    uint16 real_cpu_cnt;
    uint8  zlib_version_s390;
    uint32 zlib_entry_size;
    char   end_pad1[0x19a];
    uint64 mvdump_sign;
    uint64 mvdump_zipl_time;
    char   end_pad2[0x5f0];
    uint32 lc_vec[512];
};

struct df_s390_em {
    char   str[8];
    uint64 tod;
};

struct df_s390_dump_segm_hdr {
    uint64 start;
    uint64 len;
    uint64 stop_marker;
    uint32 size_on_disk;
    char   reserved_pad[0x14];
    uint32 entry_count;
};
"""

c_s390 = cstruct(DEFINITIONS, endian=">")

EM_SIZE = len(c_s390.df_s390_em)
