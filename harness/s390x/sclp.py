"""Service-call control blocks (SCCB) and the SDIAS event.

Sources: Linux 6.12 ``drivers/s390/char/sclp.h`` (commands, struct sccb_header, evbuf_header,
read_info_sccb) and ``drivers/s390/char/sclp_sdias.h`` (struct sdias_evbuf).
"""

from __future__ import annotations

from enum import IntEnum

from harness.s390x.layouts.c_sclp import c_sclp

SDIAS_SCCB_SIZE = len(c_sclp.sdias_sccb)

# command words
CMDW_READ_SCP_INFO = 0x00020001
CMDW_READ_SCP_INFO_FORCED = 0x00120001

# response codes
RESPONSE_READ_OK = 0x0010
RESPONSE_EVENT_OK = 0x0020
RESPONSE_INSUFFICIENT_LENGTH = 0x0300
RESPONSE_EQUIPMENT_CHECK = 0x0340  # contained
RESPONSE_NO_EVENTS = 0x60F0  # to Read Event Data
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


SDIAS_STATUS_UNDEFINED = 0x7F
