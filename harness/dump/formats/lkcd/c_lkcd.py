"""Layout of an LKCD dump of version 8 with the s390 header, big-endian.

References: s390-tools 2.16 ``zdump/df_lkcd.h`` (all structures and flags), ``zdump/dfi_lkcd.c``
(dump_end: the end markers that writers really wrote); crash ``lkcd_dump_v8.h``. Field names are
those of s390-tools.
"""

from __future__ import annotations

from dissect.cstruct import cstruct

DF_LKCD_MAGIC = bytes.fromhex("a8190173618f23ed")
DF_LKCD_MAGIC_ASM = 0x733339302D64756D  # "s390-dum"
DF_LKCD_VERSION = 8
DF_LKCD_HDR_SIZE = 0x10000  # the first page header follows
DF_LKCD_COMPRESS_NONE, DF_LKCD_COMPRESS_GZIP = 0, 2
DF_LKCD_DH_RAW = 0x1
DF_LKCD_DH_COMPRESSED = 0x2
DF_LKCD_DH_END = 0x4
ZFCPDUMP_END = (0, 4, 0)  # address, size and flags of the end marker that some zfcpdumps wrote

DEFINITIONS = """
struct df_lkcd_hdr {
    char   magic[8];
    uint32 version;
    uint32 hdr_size;
    uint32 dump_level;
    uint32 page_size;
    uint64 mem_size;
    uint64 mem_start;
    uint64 mem_end;
    uint32 num_dump_pgs;
    char   panic_string[0x100];
    uint64 time_tv_sec;
    uint64 time_tv_usec;
    char   utsname_sysname[65];
    char   utsname_nodename[65];
    char   utsname_release[65];
    char   utsname_version[65];
    char   utsname_machine[65];
    char   utsname_domainname[65];
    uint64 current_task;
    uint32 dump_compress;
    uint32 dump_flags;
    uint32 dump_device;
};

struct df_lkcd_hdr_asm {
    uint64 magic;
    uint32 version;
    uint32 hdr_size;
    uint16 cpu_cnt;
    uint16 real_cpu_cnt;
    uint32 lc_vec[512];
};

struct df_lkcd_pg_hdr {
    uint64 addr;
    uint32 size;
    uint32 flags;
};
"""

c_lkcd = cstruct(DEFINITIONS, endian=">")

HDR_SIZE = len(c_lkcd.df_lkcd_hdr)
HDR_ASM_SIZE = len(c_lkcd.df_lkcd_hdr_asm)
PG_HDR_SIZE = len(c_lkcd.df_lkcd_pg_hdr)
MAX_CPUS = 512
