"""The life of a machine after a SCSI dump load, as DIAGNOSE X'308' moves it.

::

    HSA_HELD --REL_HSA--> HSA_RELEASED
        |                      |
        +---LOAD_*-------------+--> RE_IPL (the dump system has gone)

Source: Linux 6.12 ``arch/s390/kernel/ipl.c`` and ``drivers/s390/char/zcore.c``; the answers
follow QEMU ``target/s390x/diag.c`` where QEMU has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from harness.firmware.hsa import Hsa
from harness.firmware.storage import AbsoluteStorage, within
from harness.s390x.ipl import ReturnCode, Subcode, c_ipl
from harness.s390x.lowcore import PAGE_SIZE


class DumpIplState(Enum):
    """Where a dump IPL stands."""

    HSA_HELD = "HSA held"
    HSA_RELEASED = "HSA released"
    RE_IPL = "re-IPL"


_S = DumpIplState
TRANSITIONS: dict[tuple[DumpIplState, Subcode], DumpIplState] = {
    (_S.HSA_HELD, Subcode.STORE): _S.HSA_HELD,
    (_S.HSA_HELD, Subcode.SET): _S.HSA_HELD,
    (_S.HSA_HELD, Subcode.REL_HSA): _S.HSA_RELEASED,
    (_S.HSA_RELEASED, Subcode.STORE): _S.HSA_RELEASED,
    (_S.HSA_RELEASED, Subcode.SET): _S.HSA_RELEASED,
    (_S.HSA_RELEASED, Subcode.REL_HSA): _S.HSA_RELEASED,
} | {
    (state, load): _S.RE_IPL
    for state in (_S.HSA_HELD, _S.HSA_RELEASED)
    for load in (Subcode.LOAD_CLEAR, Subcode.LOAD_NORMAL, Subcode.LOAD_NORMAL_DUMP)
}


@dataclass(frozen=True)
class Diag308Answer:
    """The return code for the register after the address; None leaves the function to QEMU."""

    subcode: int
    rc: ReturnCode | None


class DumpIpl:
    """DIAGNOSE X'308' on a machine loaded for a dump: holds the IPL parameter block and HSA."""

    def __init__(self, storage: AbsoluteStorage, hsa: Hsa, ipl_block: bytes) -> None:
        self.state = DumpIplState.HSA_HELD
        self.ipl_block = ipl_block
        self._storage = storage
        self._hsa = hsa

    def diag308(self, subcode: int, address: int) -> Diag308Answer:
        """Play one DIAGNOSE X'308'; resets (subcodes 0 and 1) and unknown ones are QEMU's."""
        try:
            known = Subcode(subcode)
        except ValueError:
            return Diag308Answer(subcode, None)
        following = TRANSITIONS.get((self.state, known))
        if following is None:
            return Diag308Answer(subcode, None)
        self.state = following
        if known is Subcode.STORE:
            return Diag308Answer(subcode, self._store(address))
        if known is Subcode.SET:
            return Diag308Answer(subcode, self._set(address))
        if known is Subcode.REL_HSA:
            self._hsa.release()
        return Diag308Answer(subcode, ReturnCode.OK)

    def _store(self, address: int) -> ReturnCode:
        if address % PAGE_SIZE or not within(self._storage, address, len(self.ipl_block)):
            return ReturnCode.INVALID
        self._storage.write(address, self.ipl_block)
        return ReturnCode.OK

    def _set(self, address: int) -> ReturnCode:
        header_size = len(c_ipl.ipl_pl_hdr)
        if not within(self._storage, address, PAGE_SIZE):
            return ReturnCode.INVALID
        length = c_ipl.ipl_pl_hdr(self._storage.read(address, header_size)).len
        if not header_size <= length <= PAGE_SIZE:
            return ReturnCode.INVALID
        self.ipl_block = self._storage.read(address, length)
        return ReturnCode.OK
