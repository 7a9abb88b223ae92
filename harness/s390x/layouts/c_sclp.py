"""Layout of service-call control blocks (SCCB) and of the SDIAS event. Big-endian.

References: Linux 6.12 ``drivers/s390/char/sclp.h`` (struct sccb_header, evbuf_header) and
``drivers/s390/char/sclp_sdias.h`` (struct sdias_evbuf). The field names come from there.
"""

from __future__ import annotations

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
