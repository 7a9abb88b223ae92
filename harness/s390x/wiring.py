"""How the disks of every machine are attached: one HBA, one target, one LUN for each disk.

The dump disk is the same device for every dump, so a crashed system can name it before the disk
exists. QEMU's virtio-scsi has no WWPN, so the harness chooses the WWPN of IPL parameter blocks.
"""

from __future__ import annotations

from harness.s390x.ipl import FcpDevice

HBA_DEVNO = 0x1234
WWPN = 0x500507630300C562
DUMP_LUN, SYSTEM_LUN = 0, 1  # QEMU's
EXCHANGE_LUN = 2  # of a disk that takes data out of a system


MOST_LUN = 16383  # of virtio-scsi
_FLAT, _PERIPHERAL = 0x4000, 256  # LUNs from 256 on use flat addressing (SAM-4, 4.6)


def fcp_device(lun: int, wwpn: int = WWPN) -> FcpDevice:
    """The disk with QEMU's ``lun`` as FCP addresses it: the number is in the first 16 bits."""
    return FcpDevice(HBA_DEVNO, wwpn, (lun if lun < _PERIPHERAL else lun | _FLAT) << 48)


def lun_of(device: FcpDevice) -> int | None:
    """QEMU's number of the disk that FCP addresses so; None if QEMU can have none there."""
    number = device.lun >> 48
    lun = number & MOST_LUN
    return lun if device in (fcp_device(lun, device.wwpn), _as_flat(device, lun)) else None


def _as_flat(device: FcpDevice, lun: int) -> FcpDevice:
    return FcpDevice(HBA_DEVNO, device.wwpn, (lun | _FLAT) << 48)


DUMP_DISK, SYSTEM_DISK = fcp_device(DUMP_LUN), fcp_device(SYSTEM_LUN)
