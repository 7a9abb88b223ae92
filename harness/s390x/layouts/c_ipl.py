"""Layout of the FCP IPL parameter block. Big-endian.

Reference: Linux 6.12 ``arch/s390/include/uapi/asm/ipl.h``. The field names come from there.
"""

from __future__ import annotations

from dissect.cstruct import cstruct

DEFINITIONS = """
struct ipl_pl_hdr {
    uint32 len;
    uint8  flags;
    char   reserved1[2];
    uint8  version;
};

struct ipl_pb0_fcp {
    uint32 len;
    uint8  pbt;
    char   reserved1[3];
    char   loadparm[8];
    char   reserved2[304];
    uint8  opt;
    char   reserved3[3];
    uint8  cssid;
    char   reserved4[1];
    uint16 devno;
    char   reserved5[4];
    uint64 wwpn;
    uint64 lun;
    uint32 bootprog;
    char   reserved6[12];
    uint64 br_lba;
    uint32 scp_data_len;
    char   reserved7[260];
};

struct ipl_fcp_block {
    ipl_pl_hdr  hdr;
    ipl_pb0_fcp fcp;
};
"""

c_ipl = cstruct(DEFINITIONS, endian=">")
