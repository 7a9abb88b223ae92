"""IPL parameter block and DIAGNOSE X'308'.

Sources: Linux 6.12 ``arch/s390/include/uapi/asm/ipl.h`` (layouts) and
``arch/s390/include/asm/ipl.h`` (subcodes, return codes); QEMU ``target/s390x/diag.c``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from harness.s390x.layouts.c_ipl import c_ipl
from harness.s390x.layouts.offsets import offset_of

IPL_BLOCK_VERSION = 0  # IPL_MAX_SUPPORTED_VERSION: Linux refuses anything newer
IPL_PBT_FCP = 0
IPL_PB0_FCP_OPT_IPL = 0x10
IPL_PB0_FCP_OPT_DUMP = 0x20
SCP_DATA_BYTES = 256  # a block has more room, but no panel of a machine takes more
LOADPARM_BLANK = b"\x40" * 8  # EBCDIC blanks


class Subcode(IntEnum):
    """DIAGNOSE X'308' subcodes."""

    CLEAR_RESET = 0
    LOAD_NORMAL_RESET = 1
    REL_HSA = 2
    LOAD_CLEAR = 3
    LOAD_NORMAL_DUMP = 4
    SET = 5
    STORE = 6
    LOAD_NORMAL = 7


class ReturnCode(IntEnum):
    """DIAGNOSE X'308' return codes, in the register after the address."""

    OK = 0x0001
    NOCONFIG = 0x0102
    INVALID = 0x0402


@dataclass(frozen=True)
class FcpDevice:
    """A list-directed IPL device as the IPL parameter block names it."""

    devno: int
    wwpn: int
    lun: int


@dataclass(frozen=True)
class LoadParameters:
    """What an FCP IPL parameter block says besides the device.

    ``bootprog`` is the number of the program in zipl's program table, 0 the default one; ``br_lba``
    the block that has the boot record. ``scp_data`` is for the operating system, at most
    ``SCP_DATA_BYTES``: Linux appends it to its kernel parameters, or takes it instead of them if it
    begins with ``=`` (Linux 6.12 ``arch/s390/boot/ipl_parm.c``).
    """

    bootprog: int = 0
    br_lba: int = 0
    scp_data: bytes = b""


DEFAULT_PARAMETERS = LoadParameters()


def fcp_block(
    device: FcpDevice, *, dump: bool, parameters: LoadParameters = DEFAULT_PARAMETERS
) -> bytes:
    """An FCP IPL parameter block for ``device``, for a dump IPL or an ordinary one."""
    hdr_len = len(c_ipl.ipl_pl_hdr)
    total = len(c_ipl.ipl_fcp_block) + len(parameters.scp_data)
    block = c_ipl.ipl_fcp_block(
        hdr=c_ipl.ipl_pl_hdr(len=total, version=IPL_BLOCK_VERSION),
        fcp=c_ipl.ipl_pb0_fcp(
            len=total - hdr_len,
            pbt=IPL_PBT_FCP,
            loadparm=LOADPARM_BLANK,
            opt=IPL_PB0_FCP_OPT_DUMP if dump else IPL_PB0_FCP_OPT_IPL,
            devno=device.devno,
            wwpn=device.wwpn,
            lun=device.lun,
            bootprog=parameters.bootprog,
            br_lba=parameters.br_lba,
            scp_data_len=len(parameters.scp_data),
        ),
    )
    return block.dumps() + parameters.scp_data


@dataclass(frozen=True)
class BlockDevice:
    """What an FCP IPL parameter block says: which device, and whether to load a dump system."""

    device: FcpDevice
    dump: bool


def load_parameters(block: bytes) -> LoadParameters:
    """What a whole FCP IPL parameter block says besides the device."""
    size = len(c_ipl.ipl_fcp_block)
    fcp = c_ipl.ipl_fcp_block(block.ljust(size, b"\0")).fcp
    return LoadParameters(fcp.bootprog, fcp.br_lba, block[size : size + fcp.scp_data_len])


def block_device(block: bytes) -> BlockDevice | None:
    """Read an FCP IPL parameter block; None if it is of another kind, or too short."""
    if len(block) < len(c_ipl.ipl_pl_hdr) + offset_of(c_ipl.ipl_pb0_fcp, "br_lba"):
        return None
    fcp = c_ipl.ipl_fcp_block(block.ljust(len(c_ipl.ipl_fcp_block), b"\0")).fcp
    if fcp.pbt != IPL_PBT_FCP:
        return None
    device = FcpDevice(devno=fcp.devno, wwpn=fcp.wwpn, lun=fcp.lun)
    return BlockDevice(device, dump=fcp.opt == IPL_PB0_FCP_OPT_DUMP)
