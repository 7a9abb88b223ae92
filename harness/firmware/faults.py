"""What the firmware of a dump load does wrong, as a scenario asks. No I/O.

The answers of a faulty machine: Linux 6.12 ``drivers/s390/char/sclp_sdias.h`` (event status),
QEMU ``include/hw/s390x/sclp.h`` (response codes), Principles of Operation, chapter 4 (SIGP status).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from harness.faults.fault import Fault, Place
from harness.s390x import sclp, sigp
from harness.s390x.lowcore import PAGE_SIZE


class Signal(Enum):
    """What the service signal of an answered request tells."""

    OF_REQUEST = "its SCCB"
    OF_NOTHING = "no SCCB"
    OF_ANOTHER = "another SCCB"
    WITH_EVENT = "its SCCB, and that an event is there"


@dataclass(frozen=True)
class SdiasFault:
    """How one SDIAS request is answered wrongly; None: as it should be.

    ``unknown``: QEMU's own answer stands. ``released``: the HSA is lost from now on.
    """

    name: str
    accepted: bool = True
    response: int = sclp.RESPONSE_EVENT_OK
    status: int | None = None
    length: int | None = None
    signal: Signal = Signal.OF_REQUEST
    unknown: bool = False
    released: bool = False


_WRONG: Mapping[str, SdiasFault] = {
    fault.name: fault
    for fault in (
        SdiasFault("sdias-not-accepted", accepted=False),
        SdiasFault("sdias-equipment-check", response=sclp.RESPONSE_EQUIPMENT_CHECK),
        SdiasFault("sdias-invalid-sccb", response=sclp.RESPONSE_INSUFFICIENT_LENGTH),
        SdiasFault("sdias-no-data", status=sclp.SdiasStatus.NO_DATA),
        SdiasFault("sdias-part-stored", status=sclp.SdiasStatus.PART_STORED),
        SdiasFault("sdias-unknown-status", status=sclp.SDIAS_STATUS_UNDEFINED),
        SdiasFault("sdias-wrong-length", length=0),
        SdiasFault("sdias-lost", signal=Signal.OF_NOTHING),
        SdiasFault("sdias-other-sccb", signal=Signal.OF_ANOTHER),
        SdiasFault("sdias-asynchronous", signal=Signal.WITH_EVENT),
        SdiasFault("hsa-released-early", released=True),
        SdiasFault("no-sdias", unknown=True),
    )
}


_REFUSED: Mapping[str, tuple[int, int | None]] = {
    "sigp-not-operational": (sigp.CC_NOT_OPERATIONAL, None),
    "sigp-check-stop": (sigp.CC_STATUS_STORED, sigp.STATUS_CHECK_STOP),
    "sigp-status-refused": (sigp.CC_STATUS_STORED, sigp.STATUS_INCORRECT_STATE),
}
_TOLD: Mapping[str, Callable[[Fault], int | None]] = {
    "hsa-size-zero": lambda fault: 0,
    "hsa-told-smaller": lambda fault: fault.at(Place.SIZE),
    "hsa-told-larger": lambda fault: fault.at(Place.SIZE),
}
_BUSY = "sclp-busy"
KINDS = frozenset({*_WRONG, *_REFUSED, *_TOLD, _BUSY})  # which of the table the firmware plays


class FirmwareFaults:
    """All faults of one dump load's firmware. ``played`` counts by fault how often it happened."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        ours = [fault for fault in faults if fault.kind.name in KINDS]
        self.played = {str(fault): 0 for fault in ours}
        self._sdias = [fault for fault in ours if fault.kind.name in _WRONG]
        self._by_cpu = {fault.at(Place.CPU): fault for fault in ours if fault.kind.name in _REFUSED}
        self._told = next((fault for fault in ours if fault.kind.name in _TOLD), None)
        self._busy = [fault for fault in ours if fault.kind.name == _BUSY]
        self._requests = 0

    @property
    def refuse_calls(self) -> bool:
        """Whether any service call is refused from now on."""
        return any(self.played[str(fault)] < fault.count for fault in self._busy)

    def is_busy(self) -> bool:
        """Whether the service call that is about to be made is refused."""
        for fault in self._busy:
            at = fault.at(Place.REQUEST)
            if (
                at is not None
                and at <= self._requests + 1
                and self.played[str(fault)] < fault.count
            ):
                self._happens(fault)
                return True
        return False

    def sdias(self, page: int | None) -> SdiasFault | None:
        """How the next SDIAS request is answered wrongly, if it is.

        ``page`` is that of the HSA; None if the request asks for the size.
        """
        self._requests += 1
        for fault in self._sdias:
            if self._applies(fault, page):
                return _WRONG[self._happens(fault)]
        return None

    def sigp(self, cpu: int, order: int) -> tuple[int, int | None] | None:
        """Condition code and status (None: not stored) of an order that is refused; else None."""
        fault = self._by_cpu.get(cpu)
        if fault is None or (
            fault.kind.name == "sigp-status-refused" and order == sigp.Order.SENSE
        ):
            return None
        return _REFUSED[self._happens(fault)]

    def told_hsa_size(self) -> int | None:
        """The size in bytes that Read SCP Information tells; None: the right one."""
        return None if self._told is None else _TOLD[self._happens(self._told)](self._told)

    def _happens(self, fault: Fault) -> str:
        self.played[str(fault)] += 1
        return fault.kind.name

    def _applies(self, fault: Fault, page: int | None) -> bool:
        request, address = fault.at(Place.REQUEST), fault.at(Place.ADDRESS)
        if request is not None:
            return request <= self._requests < request + fault.count
        if address is None:  # at each request
            return True
        there = page is not None and page == address // PAGE_SIZE
        return there and self.played[str(fault)] < fault.count
