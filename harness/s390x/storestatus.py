"""The 512-byte area that store status writes, and the additional status area.

Sources: Principles of Operation, chapter 4 "Store Status" and "Store Additional Status";
Linux 6.12 ``arch/s390/include/asm/lowcore.h`` (0x1200 onwards).
"""

from __future__ import annotations

import struct

from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import STATUS_AREA_SIZE

ADDITIONAL_STATUS_SIZE = 512  # V0-V31


def status_area(cpu: CpuState, before: bytes = bytes(STATUS_AREA_SIZE)) -> bytes:
    """Registers as stored at prefix (or absolute) 0x1200: 512 bytes.

    Bytes that belong to no register stay as they are in ``before``.
    """
    area = bytearray(before)
    struct.pack_into(">16Q", area, 0x000, *cpu.fprs)
    struct.pack_into(">16Q", area, 0x080, *cpu.gprs)
    struct.pack_into(">2Q", area, 0x100, cpu.psw_mask, cpu.psw_addr)
    struct.pack_into(">2I", area, 0x118, cpu.prefix, cpu.fpc)
    struct.pack_into(">I", area, 0x124, cpu.tod_programmable)
    struct.pack_into(">Q", area, 0x128, cpu.cpu_timer)
    # a zero byte, then bits 0-55: the eight bytes at 0x130 hold the comparator shifted right
    struct.pack_into(">Q", area, 0x130, cpu.clock_comparator >> 8)
    struct.pack_into(">16I", area, 0x140, *cpu.acrs)
    struct.pack_into(">16Q", area, 0x180, *cpu.crs)
    return bytes(area)


def additional_status_area(cpu: CpuState) -> bytes:
    """V0-V31 of 16 bytes each: 512 bytes. Raises ValueError if they are not known."""
    if cpu.vxrs is None:
        raise ValueError("the CPU's vector registers are not known")
    return b"".join(register.to_bytes(16, "big") for register in cpu.vxrs)


def whole_comparator(stored: int) -> int:
    """The clock comparator from the eight bytes that :func:`cpu_state` and Linux's notes have.

    Its last 8 bits are not stored; they are 0 here. QEMU's own dump has all 64 bits. Then the
    first byte is not 0, and the value stays.
    """
    return stored if stored >> 56 else stored << 8


def cpu_state(area: bytes, additional: bytes | None = None) -> CpuState:
    """The inverse of :func:`status_area` and, if there is one, :func:`additional_status_area`.

    The clock comparator stays as it is stored: shifted right by 8 bits. The left halves of V0-V15
    are the FPRs in ``area``. Raises ValueError if either area is shorter than 512 bytes.
    """
    if len(area) < STATUS_AREA_SIZE:
        raise ValueError(f"a status area of {len(area)} bytes is too short")
    if additional is not None and len(additional) < ADDITIONAL_STATUS_SIZE:
        raise ValueError(f"an additional status area of {len(additional)} bytes is too short")
    psw_mask, psw_addr = struct.unpack_from(">2Q", area, 0x100)
    prefix, fpc = struct.unpack_from(">2I", area, 0x118)
    halves = struct.unpack_from(">64Q", additional) if additional else ()
    vxrs = [high << 64 | low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    return CpuState(
        psw_mask=psw_mask,
        psw_addr=psw_addr,
        gprs=struct.unpack_from(">16Q", area, 0x080),
        acrs=struct.unpack_from(">16I", area, 0x140),
        crs=struct.unpack_from(">16Q", area, 0x180),
        fprs=struct.unpack_from(">16Q", area, 0x000),
        fpc=fpc,
        prefix=prefix,
        tod_programmable=struct.unpack_from(">I", area, 0x124)[0],
        cpu_timer=struct.unpack_from(">Q", area, 0x128)[0],
        clock_comparator=struct.unpack_from(">Q", area, 0x130)[0],
        vxrs_low=tuple(register & (1 << 64) - 1 for register in vxrs[:16]) or None,
        vxrs_high=tuple(vxrs[16:]) or None,
    )
