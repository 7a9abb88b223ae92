"""An SDIAS request of a dump system, already refused by QEMU, which does not have SDIAS."""

from __future__ import annotations

from typing import Any

from harness.firmware.storage import AbsoluteStorage
from harness.s390x import sclp
from harness.s390x.layouts.c_sclp import c_sclp
from harness.s390x.sclp import SdiasQualifier

PAGE = 4096
SCCB = 8 * PAGE
TARGET = 10 * PAGE


def put_sdias(
    storage: AbsoluteStorage,
    *,
    qualifier: int = SdiasQualifier.STORE_DATA,
    page: int = 0,
    count: int = 1,
    address: int = TARGET,
) -> None:
    """Write to ``SCCB`` a request to store ``count`` pages of the HSA at ``address``."""
    event = c_sclp.sdias_evbuf(
        hdr=c_sclp.evbuf_header(length=60, type=sclp.EVTYP_SDIAS),
        event_qual=qualifier,
        blk_cnt=count,
        asa=address,
        fbn=page + sclp.SDIAS_FIRST_BLOCK,
        dbs=1,
    )
    header = c_sclp.sccb_header(
        length=sclp.SDIAS_SCCB_SIZE, response_code=sclp.RESPONSE_INVALID_FUNCTION
    )
    storage.write(SCCB, header.dumps() + event.dumps())


def answered(storage) -> Any:
    """Read the SCCB at ``SCCB``."""
    raw = storage.read(SCCB, sclp.SDIAS_SCCB_SIZE)
    return c_sclp.sdias_sccb(raw)
