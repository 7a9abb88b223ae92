"""The states of a loaded machine, and how DIAGNOSE X'308' changes them.

::

    LOADED --LOAD_NORMAL_DUMP--> DUMP_REQUESTED        an ordinary load: no HSA
       |
       +----LOAD_*-------------> RE_IPL

    HSA_HELD --REL_HSA--> HSA_RELEASED                 a SCSI dump load
        |                      |
        +---LOAD_*-------------+--> RE_IPL

In DUMP_REQUESTED and RE_IPL the system has ended, and the machine loads the device that the IPL
parameter block names.

Source: Linux 6.12 ``arch/s390/kernel/ipl.c`` and ``drivers/s390/char/zcore.c``. Answers that QEMU
gives, too, follow QEMU ``target/s390x/diag.c``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from harness.firmware.hsa import Hsa
from harness.firmware.storage import AbsoluteStorage, within
from harness.s390x.ipl import ReturnCode, Subcode, block_device
from harness.s390x.layouts.c_ipl import c_ipl
from harness.s390x.lowcore import PAGE_SIZE


class IplState(Enum):
    """The state of a loaded machine."""

    LOADED = "loaded"
    HSA_HELD = "HSA held"
    HSA_RELEASED = "HSA released"
    RE_IPL = "re-IPL"
    DUMP_REQUESTED = "dump requested"


_S = IplState
TRANSITIONS: dict[tuple[IplState, Subcode], IplState] = (
    {
        (state, keep): state
        for state in (_S.LOADED, _S.HSA_HELD, _S.HSA_RELEASED)
        for keep in (Subcode.STORE, Subcode.SET)
    }
    | {
        (state, load): _S.RE_IPL
        for state in (_S.LOADED, _S.HSA_HELD, _S.HSA_RELEASED)
        for load in (Subcode.LOAD_CLEAR, Subcode.LOAD_NORMAL, Subcode.LOAD_NORMAL_DUMP)
    }
    | {
        (_S.LOADED, Subcode.LOAD_NORMAL_DUMP): _S.DUMP_REQUESTED,
        (_S.HSA_HELD, Subcode.REL_HSA): _S.HSA_RELEASED,
        (_S.HSA_RELEASED, Subcode.REL_HSA): _S.HSA_RELEASED,
    }
)
GONE = frozenset({_S.RE_IPL, _S.DUMP_REQUESTED})


@dataclass(frozen=True)
class Diag308Answer:
    """The return code for the register after the address; None leaves the function to QEMU."""

    subcode: int
    rc: ReturnCode | None


class Diag308:
    """DIAGNOSE X'308' of a machine that was loaded with ``ipl_block``.

    After a dump load the machine holds an HSA; after an ordinary load it has none.
    """

    def __init__(self, storage: AbsoluteStorage, ipl_block: bytes, hsa: Hsa | None = None) -> None:
        self.state = IplState.LOADED if hsa is None else IplState.HSA_HELD
        self.ipl_block = ipl_block
        self._storage = storage
        self._hsa = hsa

    def call(self, subcode: int, address: int) -> Diag308Answer:
        """Play one DIAGNOSE X'308'; ``subcode`` and ``address`` are whole registers.

        QEMU handles resets (subcodes 0 and 1) and program exceptions: an unknown subcode, or a
        block that is not on a page boundary or not in memory (``diag308_parm_check``).
        """
        try:
            known = Subcode(subcode)
        except ValueError:
            return Diag308Answer(subcode, None)
        following = TRANSITIONS.get((self.state, known))
        if following is None:
            return Diag308Answer(subcode, None)
        if following is IplState.DUMP_REQUESTED and not self._names_dump_device():
            return Diag308Answer(subcode, ReturnCode.NOCONFIG)
        if known in (Subcode.STORE, Subcode.SET) and not self._has_page(address):
            return Diag308Answer(subcode, None)
        self.state = following
        if known is Subcode.STORE:
            return Diag308Answer(subcode, self._store(address))
        if known is Subcode.SET:
            return Diag308Answer(subcode, self._set(address))
        if known is Subcode.REL_HSA and self._hsa is not None:
            self._hsa.release()
        return Diag308Answer(subcode, ReturnCode.OK)

    def _names_dump_device(self) -> bool:
        """Whether a block for a dump was set: a dump load needs one."""
        found = block_device(self.ipl_block)
        return found is not None and found.dump

    def _has_page(self, address: int) -> bool:
        return address % PAGE_SIZE == 0 and within(self._storage, address, PAGE_SIZE)

    def _store(self, address: int) -> ReturnCode:
        self._storage.write(address, self.ipl_block)
        return ReturnCode.OK

    def _set(self, address: int) -> ReturnCode:
        header_size = len(c_ipl.ipl_pl_hdr)
        length = c_ipl.ipl_pl_hdr(self._storage.read(address, header_size)).len
        if not header_size <= length <= PAGE_SIZE:
            return ReturnCode.INVALID
        self.ipl_block = self._storage.read(address, length)
        return ReturnCode.OK
