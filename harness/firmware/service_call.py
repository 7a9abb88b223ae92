"""Add what QEMU's SCLP lacks: list-directed dump, the HSA size, and SDIAS.

QEMU answers every service call itself. At the service signal, before the operating system reads
the answer, the answer is corrected in the SCCB.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from harness.firmware.faults import FirmwareFaults, SdiasFault, Signal
from harness.firmware.hsa import Hsa
from harness.firmware.storage import AbsoluteStorage, within
from harness.s390x import sclp
from harness.s390x.layouts.c_sclp import c_sclp
from harness.s390x.layouts.offsets import offset_of
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.sclp import SdiasQualifier, SdiasStatus

# Each console line and each 4 KiB of the HSA cause a service signal, so speed counts: the
# definitions of harness.s390x.layouts are precompiled formats here. A test compares both.
_SCCB = struct.Struct(">H4xH2xBB")  # length, response code, event type, event flags
_REQUEST = struct.Struct(">B21xIQ4xI")  # from event_qual: qualifier, blk_cnt, asa, fbn
_EVENT_OFFSET = offset_of(c_sclp.sdias_sccb, "evbuf")
_REQUEST_OFFSET = offset_of(c_sclp.sdias_sccb, "evbuf") + len(c_sclp.evbuf_header)


def _offset(field: str) -> int:
    return offset_of(c_sclp.sdias_sccb, "evbuf") + offset_of(c_sclp.sdias_evbuf, field)


_RESPONSE_OFFSET = offset_of(c_sclp.sccb_header, "response_code")
_LENGTH_OFFSET = _offset("hdr") + offset_of(c_sclp.evbuf_header, "length")
_FLAGS_OFFSET = _offset("hdr") + offset_of(c_sclp.evbuf_header, "flags")
_STATUS_OFFSET = _offset("event_status")
_COUNT_OFFSET = _offset("blk_cnt")
_QUALIFIERS = frozenset(SdiasQualifier)
_PIECE_PAGES = 256
_RESPONSE_OK = sclp.RESPONSE_EVENT_OK.to_bytes(2, "big")


@dataclass(frozen=True)
class MachineReported:
    """Read SCP Information now has the bit for SCSI dump loads, and the HSA size.

    ``hsa_pages`` is 0 on a machine without an HSA.
    """

    hsa_pages: int


@dataclass(frozen=True)
class SdiasAnswered:
    """One SDIAS request: ``page`` and ``count`` in HSA pages; ``stored`` pages were stored.

    ``status`` is None if the request failed as a whole; ``accepted`` is false if the machine was
    busy. ``fault`` is what went wrong on purpose.
    """

    qualifier: SdiasQualifier
    status: int | None
    page: int
    count: int
    stored: int
    fault: SdiasFault | None = None

    @property
    def accepted(self) -> bool:
        return self.fault is None or self.fault.accepted


Played = MachineReported | SdiasAnswered | None


class ServiceCalls:
    """Sees each service call begin (where known) and each service signal arrive.

    ``hsa`` is None after an ordinary load. ``faults`` are what it does wrong.
    """

    def __init__(
        self,
        storage: AbsoluteStorage,
        hsa: Hsa | None = None,
        faults: FirmwareFaults | None = None,
    ) -> None:
        self._storage = storage
        self._hsa = hsa
        self._faults = faults or FirmwareFaults()
        self._read_info_sccb: int | None = None
        self._event = b""  # the event buffer of an asynchronous answer, until it is read
        self._asynchronous = False  # whether the system knows that there is no other form

    @property
    def refuse_some(self) -> bool:
        """Whether the machine is busy at some calls, so that each must be looked at."""
        return self._faults.refuse_calls

    def issued(self, command: int, sccb: int) -> bool:
        """SERVC is about to run: remember command and SCCB, to match the later service signal.

        False if the SCLP is busy: then QEMU must not execute it.
        """
        if self._faults.is_busy():
            return False
        is_read_info = command in (sclp.CMDW_READ_SCP_INFO, sclp.CMDW_READ_SCP_INFO_FORCED)
        self._read_info_sccb = sccb if is_read_info else None
        return True

    def completed(self, sccb: int) -> Played:
        """Handle a service signal for the SCCB at an absolute address; returns what was played."""
        if not sccb or not within(self._storage, sccb, PAGE_SIZE):
            return None
        request = self._storage.read(sccb, sclp.SDIAS_SCCB_SIZE)
        length, response, event_type, flags = _SCCB.unpack_from(request)
        if sccb == self._read_info_sccb and response == sclp.RESPONSE_READ_OK:
            return self._report_machine(sccb)
        if self._event and response == sclp.RESPONSE_NO_EVENTS:
            self._give_event(sccb)
            return None
        if self._hsa is not None and (
            response == sclp.RESPONSE_INVALID_FUNCTION
            and event_type == sclp.EVTYP_SDIAS
            and length >= sclp.SDIAS_SCCB_SIZE
        ):
            return self._answer_sdias(self._hsa, sccb, request, flags)
        return None

    def _report_machine(self, sccb: int) -> MachineReported:
        self._read_info_sccb = None
        at = sccb + sclp.READ_INFO_FLAGS
        flags = self._storage.read(at, 1)[0] | sclp.READ_INFO_FLAG_DUMP
        self._storage.write(at, bytes([flags]))
        if self._hsa is None:
            return MachineReported(0)
        told = self._faults.told_hsa_size()
        pages = self._hsa.pages if told is None else told // PAGE_SIZE
        field = (pages + 1 if pages else 0).to_bytes(4, "big")
        self._storage.write(sccb + sclp.READ_INFO_HSA_SIZE, field)
        return MachineReported(pages)

    def _answer_sdias(
        self, hsa: Hsa, sccb: int, request: bytes, flags: int
    ) -> SdiasAnswered | None:
        qualifier, count, address, first = _REQUEST.unpack_from(request, _REQUEST_OFFSET)
        if qualifier not in _QUALIFIERS:
            return None  # QEMU has already refused it
        is_size = qualifier == SdiasQualifier.SIZE
        page = 0 if is_size else first - sclp.SDIAS_FIRST_BLOCK
        count = 0 if is_size else count
        fault = self._faults.sdias(None if is_size else page)
        if fault is not None:
            if fault.released:
                hsa.release()
            elif fault.signal is Signal.OF_REQUEST and fault.length is None:
                self._refuse(fault, sccb, flags)
                return SdiasAnswered(SdiasQualifier(qualifier), fault.status, page, count, 0, fault)
        if is_size:
            answer = SdiasAnswered(SdiasQualifier.SIZE, SdiasStatus.ALL_STORED, 0, 0, 0, fault)
            count = 0 if hsa.released else hsa.pages
        else:
            answer = replace(self._store(hsa, page, count, address), fault=fault)
            count = answer.stored
        self._storage.write(sccb + _COUNT_OFFSET, count.to_bytes(4, "big"))
        self._storage.write(sccb + _STATUS_OFFSET, bytes([answer.status or 0]))
        self._storage.write(sccb + _FLAGS_OFFSET, bytes([flags | sclp.EVBUF_ACCEPTED]))
        self._storage.write(sccb + _RESPONSE_OFFSET, _RESPONSE_OK)
        if fault is not None and fault.length is not None:
            self._storage.write(sccb + _LENGTH_OFFSET, fault.length.to_bytes(2, "big"))
        if fault is not None and fault.signal is Signal.WITH_EVENT:
            return self._answer_later(answer, sccb)
        return answer

    def _answer_later(self, answer: SdiasAnswered, sccb: int) -> SdiasAnswered:
        """Let an event have the answer that is in the SCCB, which then has none.

        The first request is the system's question for the synchronous form: no block is there.
        """
        if not self._asynchronous:
            self._asynchronous = True
            self._storage.write(sccb + _COUNT_OFFSET, bytes(4))
            return replace(answer, fault=None)
        at = sccb + _EVENT_OFFSET
        self._event = self._storage.read(at, sclp.SDIAS_SCCB_SIZE - _EVENT_OFFSET)
        # a system that took this for the answer would have no data
        self._storage.write(sccb + _STATUS_OFFSET, bytes([SdiasStatus.NO_DATA]))
        self._storage.write(sccb + _COUNT_OFFSET, bytes(4))
        return answer

    def _give_event(self, sccb: int) -> None:
        """Answer Read Event Data, for which QEMU has no event."""
        length = _EVENT_OFFSET + len(self._event)
        self._storage.write(sccb, length.to_bytes(2, "big"))
        self._storage.write(sccb + _RESPONSE_OFFSET, _RESPONSE_OK)
        self._storage.write(sccb + _EVENT_OFFSET, self._event)
        self._event = b""

    def _refuse(self, fault: SdiasFault, sccb: int, flags: int) -> None:
        """Answer a request of which nothing is stored."""
        if fault.unknown:
            return  # QEMU has answered
        self._storage.write(sccb + _RESPONSE_OFFSET, fault.response.to_bytes(2, "big"))
        if fault.accepted:
            self._storage.write(sccb + _FLAGS_OFFSET, bytes([flags | sclp.EVBUF_ACCEPTED]))
        if fault.status is not None:
            self._storage.write(sccb + _STATUS_OFFSET, bytes([fault.status]))
            self._storage.write(sccb + _COUNT_OFFSET, bytes(4))

    def _store(self, hsa: Hsa, page: int, count: int, address: int) -> SdiasAnswered:
        stored = hsa.held(page, count)
        if not within(self._storage, address, stored * PAGE_SIZE):
            stored = 0
        for at in range(0, stored, _PIECE_PAGES):  # one request may be for all of it
            data = hsa.read(page + at, min(_PIECE_PAGES, stored - at))
            self._storage.write(address + at * PAGE_SIZE, data)
        if stored == 0:
            status = SdiasStatus.NO_DATA
        else:
            status = SdiasStatus.ALL_STORED if stored == count else SdiasStatus.PART_STORED
        return SdiasAnswered(SdiasQualifier.STORE_DATA, status, page, count, stored)
