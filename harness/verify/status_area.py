"""What store status leaves at absolute 0x1200: the one place where dump and memory may differ.

Source: Principles of Operation, chapter 4 "Store Status", and the assigned storage locations of
chapter 3. Written down here once more on purpose: the machine that is judged has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from harness.s390x.cpu import CpuState

STATUS_PAGE = 0x1000
AREA_START, AREA_END = 0x200, 0x400  # within the page
ADDITIONAL_POINTER = 0x11B0  # in the prefix area: where vector registers are stored, if anywhere
ADDITIONAL_ORIGIN = ~0x3FF  # the bits below are the area's length
REASON = (
    "status area: the firmware stores the IPL CPU's status at absolute 0x1200; the bytes there "
    "are that CPU's registers, those around it are unchanged"
)


class Stored(NamedTuple):
    """A register as store status writes it, ``offset`` counted from absolute 0x1200."""

    name: str
    offset: int
    content: bytes


def stored_registers(cpu: CpuState) -> Iterator[Stored]:
    """Every field that the architecture defines; the gaps between them are not."""
    for number, value in enumerate(cpu.fprs):
        yield Stored(f"fpr{number}", number * 8, value.to_bytes(8, "big"))
    for number, value in enumerate(cpu.gprs):
        yield Stored(f"gpr{number}", 0x80 + number * 8, value.to_bytes(8, "big"))
    yield Stored("PSW mask", 0x100, cpu.psw_mask.to_bytes(8, "big"))
    yield Stored("PSW address", 0x108, cpu.psw_addr.to_bytes(8, "big"))
    yield Stored("prefix", 0x118, cpu.prefix.to_bytes(4, "big"))
    yield Stored("fpc", 0x11C, cpu.fpc.to_bytes(4, "big"))
    yield Stored("TOD programmable register", 0x124, cpu.tod_programmable.to_bytes(4, "big"))
    yield Stored("CPU timer", 0x128, cpu.cpu_timer.to_bytes(8, "big"))
    # a zero byte, then bits 0-55 of the register
    yield Stored("clock comparator", 0x130, (cpu.clock_comparator >> 8).to_bytes(8, "big"))
    for number, value in enumerate(cpu.acrs):
        yield Stored(f"acr{number}", 0x140 + number * 4, value.to_bytes(4, "big"))
    for number, value in enumerate(cpu.crs):
        yield Stored(f"cr{number}", 0x180 + number * 8, value.to_bytes(8, "big"))


def additional_area(cpu: CpuState) -> bytes:
    """What store additional status leaves where the pointer leads: V0-V31, 512 bytes.

    Source: Principles of Operation, chapter 4 "Store Additional Status".
    """
    return b"".join(register.to_bytes(16, "big") for register in cpu.vxrs)


def faults(dumped: bytes, before: bytes, cpu: CpuState) -> tuple[str, ...]:
    """Why page 0x1000 of the dump is not the old page with the IPL CPU's status; () if it is.

    ``dumped`` and ``before`` are 4096 bytes each. Bytes of the area that belong to no register
    may be zero or as they were.
    """
    if dumped[:AREA_START] != before[:AREA_START] or dumped[AREA_END:] != before[AREA_END:]:
        return ("it differs outside of the status area 0x1200-0x13ff",)
    area, old = dumped[AREA_START:AREA_END], before[AREA_START:AREA_END]
    found, undefined = [], set(range(len(area)))
    for register in stored_registers(cpu):
        end = register.offset + len(register.content)
        undefined -= set(range(register.offset, end))
        stored = area[register.offset : end]
        if stored != register.content:
            found.append(
                f"{register.name} is stored as {stored.hex()}, the IPL CPU had "
                f"{register.content.hex()}"
            )
    found += [
        f"byte {STATUS_PAGE + AREA_START + offset:#x}, of no register, is {area[offset]:#04x}"
        for offset in sorted(undefined)
        if area[offset] not in (0, old[offset])
    ]
    return tuple(found)
