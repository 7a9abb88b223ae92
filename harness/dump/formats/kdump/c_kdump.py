"""Layout of makedumpfile's kdump-compressed format, as a 64-bit big-endian system writes it.

References: makedumpfile 1.7.2 ``IMPLEMENTATION`` (order of the parts of a file),
``diskdump_mod.h`` (struct disk_dump_header, kdump_sub_header, page_desc, flags),
``makedumpfile.h`` (struct makedumpfile_header, makedumpfile_data_header: the flattened format);
QEMU 7.2 ``include/sysemu/dump.h`` (the same format). The field names come from there.
"""

from __future__ import annotations

from dissect.cstruct import cstruct

KDUMP_SIGNATURE = b"KDUMP   "
FLAT_SIGNATURE = b"makedumpfile".ljust(16, b"\0")
FLAT_HEADER_SIZE = 4096  # MAX_SIZE_MDF_HEADER
TYPE_FLAT_HEADER = VERSION_FLAT_HEADER = 1
END_FLAG_FLAT_HEADER = -1

# page_desc.flags; disk_dump_header.status has them, too, and has additional ones
DUMP_DH_COMPRESSED_ZLIB = 0x1
DUMP_DH_COMPRESSED_LZO = 0x2
DUMP_DH_COMPRESSED_SNAPPY = 0x4
DUMP_DH_COMPRESSED_INCOMPLETE = 0x8
DUMP_DH_COMPRESSED_ZSTD = 0x20

# the header_version that added a field to kdump_sub_header
VERSION_SPLIT, VERSION_VMCOREINFO, VERSION_NOTE, VERSION_64 = 2, 3, 4, 6

DEFINITIONS = """
struct new_utsname {
    char sysname[65];
    char nodename[65];
    char release[65];
    char version[65];
    char machine[65];
    char domainname[65];
};

struct disk_dump_header {
    char        signature[8];
    uint32      header_version;
    new_utsname utsname;
    char        padding[6];
    uint64      tv_sec;
    uint64      tv_usec;
    uint32      status;
    uint32      block_size;
    uint32      sub_hdr_size;
    uint32      bitmap_blocks;
    uint32      max_mapnr;
    uint32      total_ram_blocks;
    uint32      device_blocks;
    uint32      written_blocks;
    uint32      current_cpu;
    uint32      nr_cpus;
};

struct kdump_sub_header {
    uint64 phys_base;
    uint32 dump_level;
    uint32 split;
    uint64 start_pfn;
    uint64 end_pfn;
    uint64 offset_vmcoreinfo;
    uint64 size_vmcoreinfo;
    uint64 offset_note;
    uint64 size_note;
    uint64 offset_eraseinfo;
    uint64 size_eraseinfo;
    uint64 start_pfn_64;
    uint64 end_pfn_64;
    uint64 max_mapnr_64;
};

struct page_desc {
    uint64 offset;
    uint32 size;
    uint32 flags;
    uint64 page_flags;
};

struct makedumpfile_header {
    char  signature[16];
    int64 type;
    int64 version;
};

struct makedumpfile_data_header {
    int64 offset;
    int64 buf_size;
};
"""

c_kdump = cstruct(DEFINITIONS, endian=">")

HEADER_SIZE = len(c_kdump.disk_dump_header)
SUB_HEADER_SIZE = len(c_kdump.kdump_sub_header)
PAGE_DESC_SIZE = len(c_kdump.page_desc)
DATA_HEADER_SIZE = len(c_kdump.makedumpfile_data_header)
