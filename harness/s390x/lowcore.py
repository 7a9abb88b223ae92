"""Offsets in the lowcore (prefix area) of a z/Architecture CPU.

Sources: Principles of Operation, chapter 3 "Assigned Storage Locations"; Linux 6.12
``arch/s390/include/asm/lowcore.h``.
"""

PAGE_SIZE = 4096

EXT_PARAMS = 0x80  # u32 external-interruption parameter; the SCCB address of a service signal
EXT_INT_CODE = 0x86  # u16
PROGRAM_NEW_PSW = 0x1D0  # 16 bytes
STATUS_AREA = 0x1200  # 512 bytes: where store status puts the registers
STATUS_AREA_SIZE = 0x200

EXT_INT_SERVICE_SIGNAL = 0x2401  # Principles of Operation, chapter 6 "Service Signal"
SCCB_ADDRESS_MASK = 0xFFFFFFF8  # the low bits of the parameter are flags

NEW_PSWS = {  # by what makes the CPU load them
    "restart": 0x1A0,
    "external": 0x1B0,
    "supervisor-call": 0x1C0,
    "program": PROGRAM_NEW_PSW,
    "machine-check": 0x1E0,
    "I/O": 0x1F0,
}
PREFIX_AREA_SIZE = 0x2000  # what prefixing swaps with the first 8 KiB, and aligns to
