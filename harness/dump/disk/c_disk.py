"""Layouts of partition tables and of the ext superblock. Little-endian, unlike s390x.

References: UEFI 2.10 chapter 5 "GUID Partition Table Disk Layout" (GPT header and entries, and
in 5.2 the DOS partition table); Linux ``include/linux/msdos_partition.h`` (types of partitions)
and ``fs/ext4/ext4.h`` (struct ext4_super_block, its start).
"""

from __future__ import annotations

from dissect.cstruct import cstruct

DOS_SIGNATURE = b"\x55\xaa"  # the last two bytes of the first sector
DOS_PARTITIONS = 4  # in one sector
DOS_EXTENDED = (0x05, 0x0F, 0x85)  # os_type: logical partitions are inside
DOS_GPT = 0xEE  # os_type: the disk has a GPT, and this partition protects it
DOS_BOOT_INDICATORS = (0x00, 0x80)
GPT_SIGNATURE = b"EFI PART"
EXT_SUPER_MAGIC = 0xEF53
EXT_SUPER_AT = 1024  # bytes from the start of the file system

DEFINITIONS = """
struct dos_entry {
    uint8  boot_indicator;
    char   starting_chs[3];
    uint8  os_type;
    char   ending_chs[3];
    uint32 starting_lba;
    uint32 size_in_lba;
};

struct dos_mbr {
    char      boot_code[446];
    dos_entry partitions[4];
    char      signature[2];
};

struct gpt_header {
    char   signature[8];
    uint32 revision;
    uint32 header_size;
    uint32 header_crc32;
    uint32 reserved;
    uint64 my_lba;
    uint64 alternate_lba;
    uint64 first_usable_lba;
    uint64 last_usable_lba;
    char   disk_guid[16];
    uint64 partition_entry_lba;
    uint32 number_of_partition_entries;
    uint32 size_of_partition_entry;
    uint32 partition_entry_array_crc32;
};

struct gpt_entry {
    char   partition_type_guid[16];
    char   unique_partition_guid[16];
    uint64 starting_lba;
    uint64 ending_lba;
};

struct ext4_super_block {
    uint32 s_inodes_count;
    uint32 s_blocks_count_lo;
    uint32 s_r_blocks_count_lo;
    uint32 s_free_blocks_count_lo;
    uint32 s_free_inodes_count;
    uint32 s_first_data_block;
    uint32 s_log_block_size;
    uint32 s_log_cluster_size;
    uint32 s_blocks_per_group;
    uint32 s_clusters_per_group;
    uint32 s_inodes_per_group;
    uint32 s_mtime;
    uint32 s_wtime;
    uint16 s_mnt_count;
    uint16 s_max_mnt_count;
    uint16 s_magic;
    uint16 s_state;
    uint16 s_errors;
    uint16 s_minor_rev_level;
    uint32 s_lastcheck;
    uint32 s_checkinterval;
    uint32 s_creator_os;
    uint32 s_rev_level;
    uint16 s_def_resuid;
    uint16 s_def_resgid;
    uint32 s_first_ino;
    uint16 s_inode_size;
    uint16 s_block_group_nr;
};
"""

c_disk = cstruct(DEFINITIONS, endian="<")
