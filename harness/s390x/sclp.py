"""Service-call control blocks (SCCB) and the SDIAS event.

Sources: Linux 6.12 ``drivers/s390/char/sclp.h`` (commands, struct sccb_header, evbuf_header,
read_info_sccb) and ``drivers/s390/char/sclp_sdias.h`` (struct sdias_evbuf).
"""

from __future__ import annotations

from enum import IntEnum

from dissect.cstruct import cstruct

DEFINITIONS = """
struct sccb_header {
    uint16 length;
    uint8  function_code;
    char   control_mask[3];
    uint16 response_code;
};

struct evbuf_header {
    uint16 length;
    uint8  type;
    uint8  flags;
    uint16 _reserved;
};

struct sdias_evbuf {
    evbuf_header hdr;
    uint8  event_qual;
    uint8  data_id;
    uint64 reserved2;
    uint32 event_id;
    uint16 reserved3;
    uint8  asa_size;
    uint8  event_status;
    uint32 reserved4;
    uint32 blk_cnt;
    uint64 asa;
    uint32 reserved5;
    uint32 fbn;
    uint32 reserved6;
    uint32 lbn;
    uint16 reserved7;
    uint16 dbs;
};

struct sdias_sccb {
    sccb_header hdr;
    sdias_evbuf evbuf;
};
"""

c_sclp = cstruct(DEFINITIONS, endian=">")

SDIAS_SCCB_SIZE = len(c_sclp.sdias_sccb)

# command words
CMDW_READ_SCP_INFO = 0x00020001
CMDW_READ_SCP_INFO_FORCED = 0x00120001

# response codes
RESPONSE_READ_OK = 0x0010
RESPONSE_EVENT_OK = 0x0020
RESPONSE_INVALID_FUNCTION = 0x40F0  # QEMU's answer to an event type it does not know

READ_INFO_FLAGS = 91  # u8 read_info_sccb.flags
READ_INFO_FLAG_DUMP = 0x02  # list-directed dump is installed (sclp_early.c, has_dump)
READ_INFO_HSA_SIZE = 112  # u32 read_info_sccb.hsa_size: pages + 1, 0 = none

EVTYP_SDIAS = 0x1C
EVBUF_ACCEPTED = 0x80  # evbuf_header.flags: processed by the SCLP

SDIAS_FIRST_BLOCK = 2  # fbn of HSA page 0 (Linux zcore.c, memcpy_hsa_iter)


class SdiasQualifier(IntEnum):
    """sdias_evbuf.event_qual."""

    STORE_DATA = 0
    SIZE = 1


class SdiasStatus(IntEnum):
    """sdias_evbuf.event_status."""

    ALL_STORED = 0x00
    NO_DATA = 0x03
    PART_STORED = 0x10
