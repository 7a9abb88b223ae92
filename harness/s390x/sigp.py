"""SIGNAL PROCESSOR orders and condition codes.

Sources: Principles of Operation, chapter 4 "Signal-Processor Orders"; Linux 6.12
``arch/s390/include/asm/sigp.h``.
"""

from __future__ import annotations

from enum import IntEnum


class Order(IntEnum):
    """Orders that store the status of stopped CPUs, and orders that change a CPU's state."""

    SENSE = 0x01
    START = 0x04
    STOP = 0x05
    RESTART = 0x06
    INITIAL_CPU_RESET = 0x0B
    CPU_RESET = 0x0C
    SET_PREFIX = 0x0D
    STORE_STATUS_AT_ADDRESS = 0x0E
    STORE_ADDITIONAL_STATUS_AT_ADDRESS = 0x17


CC_ACCEPTED = 0
CC_STATUS_STORED = 1
CC_NOT_OPERATIONAL = 3

STATUS_CHECK_STOP = 0x10
STATUS_STOPPED = 0x40
STATUS_INVALID_PARAMETER = 0x100
STATUS_INCORRECT_STATE = 0x200

STATE_CHANGING = frozenset(
    {
        Order.START,
        Order.STOP,
        Order.RESTART,
        Order.INITIAL_CPU_RESET,
        Order.CPU_RESET,
        Order.SET_PREFIX,
    }
)
