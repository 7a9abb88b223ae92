"""SIGNAL PROCESSOR orders and condition codes.

Sources: Principles of Operation, chapter 4 "Signal-Processor Orders"; Linux 6.12
``arch/s390/include/asm/sigp.h``.
"""

from __future__ import annotations

from enum import IntEnum


class Order(IntEnum):
    """The orders that matter for collecting the status of stopped CPUs."""

    SENSE = 0x01
    STORE_STATUS_AT_ADDRESS = 0x0E
    STORE_ADDITIONAL_STATUS_AT_ADDRESS = 0x17


CC_ACCEPTED = 0
CC_STATUS_STORED = 1
CC_NOT_OPERATIONAL = 3

STATUS_STOPPED = 0x40
STATUS_INVALID_PARAMETER = 0x100
