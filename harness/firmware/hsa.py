"""The hardware system area: what a SCSI dump load saves before it overwrites low memory.

The machine stores the IPL CPU's registers at absolute 0x1200. Then it copies the first part of
main storage to the HSA, and keeps it until the dump system releases it (Linux 6.12
``drivers/s390/char/zcore.c``; Principles of Operation, chapter 17).
"""

from __future__ import annotations

from harness.firmware.storage import AbsoluteStorage
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import PAGE_SIZE, STATUS_AREA, STATUS_AREA_SIZE
from harness.s390x.storestatus import status_area


class Hsa:
    """``size`` bytes (whole pages) of ``saved`` memory with the status of ``ipl_cpu``.

    ``saved`` is the crashed system's memory and must not change. If it is smaller than the area,
    all of it is there, and the rest of the area holds nothing.
    """

    def __init__(self, saved: AbsoluteStorage, size: int, ipl_cpu: CpuState) -> None:
        if size <= 0 or size % PAGE_SIZE:
            raise ValueError(f"HSA size {size:#x} is not a number of pages")
        self.size = size
        self.pages = size // PAGE_SIZE
        self._stored = min(size, saved.size) // PAGE_SIZE
        self.released = False
        self._saved = saved
        self._status = status_area(ipl_cpu)

    def release(self) -> None:
        """Release the area, as DIAGNOSE X'308' subcode 2 does. This is final."""
        self.released = True

    def held(self, page: int, count: int) -> int:
        """How many of ``count`` pages from ``page`` on exist: none after the release."""
        if self.released or not 0 <= page < self._stored or count <= 0:
            return 0
        return min(count, self._stored - page)

    def read(self, page: int, count: int) -> bytes:
        """The pages from ``page`` on that are ``held``, at most ``count``."""
        size = self.held(page, count) * PAGE_SIZE
        if not size:
            return b""
        start = page * PAGE_SIZE
        data = self._saved.read(start, size)
        if start <= STATUS_AREA < start + size:
            at = STATUS_AREA - start
            data = data[:at] + self._status + data[at + STATUS_AREA_SIZE :]
        return data
