"""Which disk a dump load is from: as the operator asks, or as the crashed system has asked."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import HarnessError
from harness.evidence.snapshot import Snapshot
from harness.s390x.ipl import (
    DEFAULT_PARAMETERS,
    BlockDevice,
    LoadParameters,
    block_device,
    fcp_block,
)
from harness.s390x.wiring import DUMP_LUN, HBA_DEVNO, WWPN, fcp_device, lun_of


@dataclass(frozen=True)
class LoadRequest:
    """What the operator asks for; ``lun`` is QEMU's number of the dump disk.

    None: as the crashed system says, or else what every dump disk has. ``other_luns``: the adapter
    has other disks there.
    """

    lun: int | None = None
    wwpn: int | None = None
    parameters: LoadParameters = DEFAULT_PARAMETERS
    other_luns: tuple[int, ...] = ()

    def block(self, snapshot: Snapshot) -> bytes:
        """The IPL parameter block of the load.

        Raises HarnessError if the crashed system has asked for a dump by a disk that is not there.
        """
        block = snapshot.dump_block
        if block is None:
            lun = DUMP_LUN if self.lun is None else self.lun
            device = fcp_device(lun, WWPN if self.wwpn is None else self.wwpn)
            return fcp_block(device, dump=True, parameters=self.parameters)
        named = block_device(block)
        if lacking := self._lacking(named):
            raise HarnessError(
                f"the crashed system asked for a dump by {named}, but there is no such disk: "
                f"{lacking}"
            )
        if self.parameters != DEFAULT_PARAMETERS:
            raise HarnessError(
                "dump.bootprog, br_lba and scp_data: the crashed system asked for its dump itself, "
                "and has set them"
            )
        return block

    def lun_in(self, block: bytes) -> int:
        """QEMU's number of the dump disk that ``block`` names."""
        named = block_device(block)
        lun = None if named is None else lun_of(named.device)
        assert lun is not None, "block() has made sure of it"
        if lun in self.other_luns:
            raise HarnessError(
                f"LUN {lun} is the dump disk's",
                hint="choose other LUNs in dump.other_luns",
            )
        return lun

    def _lacking(self, named: BlockDevice | None) -> str:
        """Why there is no such disk; nothing if there can be."""
        if named is None or not named.dump:
            return "this is no SCSI disk for a dump"
        lun = lun_of(named.device)
        if named.device.devno != HBA_DEVNO:
            return f"the adapter is 0.0.{HBA_DEVNO:04x}"
        if lun is None:
            return "QEMU has LUNs of one level only, such as 0x0001000000000000"
        if self.lun not in (None, lun):
            return f"the dump disk has LUN {self.lun} (dump.lun)"
        if self.wwpn not in (None, named.device.wwpn):
            return f"the dump disk's port is {self.wwpn:#018x} (dump.wwpn)"
        return ""


OPERATOR = LoadRequest()
