"""SIGNAL PROCESSOR for CPUs that stopped at the dump load and still hold their registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.firmware.faults import FirmwareFaults
from harness.firmware.storage import AbsoluteStorage, within
from harness.s390x import sigp
from harness.s390x.cpu import CpuState
from harness.s390x.sigp import STATE_CHANGING, Order
from harness.s390x.storestatus import additional_status_area, status_area

STATUS_ALIGNMENT = 512
ADDITIONAL_STATUS_ALIGNMENT = 1024  # the low bits request more than vector registers


@dataclass(frozen=True)
class Signalled:
    """The result of SIGP: condition code, and the status register's low word if it is stored."""

    cc: int
    status: int | None = None


class StoppedCpus:
    """The CPUs other than the IPL CPU, by CPU address, in the stopped state.

    ``faults`` says which of them do not obey. ``stored`` collects the addresses of the CPUs whose
    status was stored. When an order changes a CPU's state, the dump system has ``taken_over`` the
    CPUs; from then on QEMU's SIGP is used.
    """

    def __init__(
        self,
        storage: AbsoluteStorage,
        cpus: Sequence[CpuState],
        ipl_cpu: int,
        faults: FirmwareFaults | None = None,
    ) -> None:
        self._storage, self._faults = storage, faults or FirmwareFaults()
        self._cpus = {at: cpu for at, cpu in enumerate(cpus) if at != ipl_cpu}
        self._ipl_cpu = ipl_cpu
        self.stored: set[int] = set()
        self.taken_over = False

    def signal(self, order: int, address: int, parameter: int) -> Signalled | None:
        """Play one order for CPU ``address``; None if QEMU must execute it."""
        if address == self._ipl_cpu:
            return None
        cpu = self._cpus.get(address)
        if cpu is None:
            return Signalled(sigp.CC_NOT_OPERATIONAL)
        if not self.taken_over and (refused := self._faults.sigp(address, order)) is not None:
            return Signalled(*refused)
        if order == Order.SENSE:
            return Signalled(sigp.CC_STATUS_STORED, sigp.STATUS_STOPPED)
        if order == Order.STORE_STATUS_AT_ADDRESS:
            self.stored.add(address)
            return self._store(parameter & 0x7FFFFFFF, STATUS_ALIGNMENT, status_area(cpu))
        if order == Order.STORE_ADDITIONAL_STATUS_AT_ADDRESS:
            area = additional_status_area(cpu)
            return self._store(parameter, ADDITIONAL_STATUS_ALIGNMENT, area)
        self.taken_over |= order in STATE_CHANGING
        return None

    def _store(self, address: int, alignment: int, area: bytes) -> Signalled:
        if address % alignment or not within(self._storage, address, len(area)):
            return Signalled(sigp.CC_STATUS_STORED, sigp.STATUS_INVALID_PARAMETER)
        self._storage.write(address, area)
        return Signalled(sigp.CC_ACCEPTED)
