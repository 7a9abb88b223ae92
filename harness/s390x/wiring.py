"""How the disks of every machine are attached: one HBA, one target, one LUN for each disk.

The dump disk is the same device for every dump, so a crashed system can name it before the disk
exists. QEMU's virtio-scsi has no WWPN, so the harness chooses the WWPN of IPL parameter blocks.
"""

from __future__ import annotations

from harness.s390x.ipl import FcpDevice

HBA_DEVNO = 0x1234
WWPN = 0x500507630300C562
DUMP_LUN, SYSTEM_LUN = 0, 1  # QEMU's


def fcp_device(lun: int) -> FcpDevice:
    """The disk with QEMU's ``lun`` as FCP addresses it: the number is in the first 16 bits."""
    return FcpDevice(HBA_DEVNO, WWPN, lun << 48)


DUMP_DISK, SYSTEM_DISK = fcp_device(DUMP_LUN), fcp_device(SYSTEM_LUN)
