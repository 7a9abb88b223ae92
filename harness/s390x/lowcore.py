"""Offsets in the lowcore (prefix area) of a z/Architecture CPU.

Sources: Principles of Operation, chapter 3 "Assigned Storage Locations"; Linux 6.12
``arch/s390/include/asm/lowcore.h``.
"""

PAGE_SIZE = 4096

EXT_PARAMS = 0x80  # u32 external-interruption parameter; the SCCB address of a service signal
EXT_INT_CODE = 0x86  # u16
RESTART_OLD_PSW = 0x120  # 16 bytes
PROGRAM_NEW_PSW = 0x1D0  # 16 bytes
PSW_SIZE = 16
NEW_PSWS = {  # by what makes the CPU load them
    "restart": 0x1A0,
    "external": 0x1B0,
    "supervisor-call": 0x1C0,
    "program": PROGRAM_NEW_PSW,
    "machine-check": 0x1E0,
    "I/O": 0x1F0,
}
PREFIX_AREA_SIZE = 0x2000  # bytes that prefixing swaps; also the alignment of a prefix
MCESAD = 0x11B0  # u64 address of the machine check extended save area: V0-V31
STATUS_AREA = 0x1200  # 512 bytes: store status writes the registers here
STATUS_AREA_SIZE = 0x200

EXT_INT_SERVICE_SIGNAL = 0x2401  # Principles of Operation, chapter 6 "Service Signal"
SCCB_ADDRESS_MASK = 0xFFFFFFF8  # the low bits of the parameter are flags
