"""The areas where a dump and the crashed memory may differ: there a CPU's registers are stored.

In every dump that is absolute 0x1200. A stand-alone dump (s390, s390_ext) can keep registers only
in memory: in each CPU's lowcore, and vector registers at the address in the lowcore.

Source: Principles of Operation, chapter 4 "Store Status" and "Store Additional Status", and the
assigned storage locations of chapter 3; s390-tools ``zdump/dfi.c`` (lc2cpu_64,
dfi_cpu_lc_has_vx_sa). The machine that is verified has its own copy of this, on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from harness.dump.formats.table import format_named
from harness.s390x.cpu import CpuState
from harness.verify.evidence import RamImage

STATUS_PAGE = 0x1000
STATUS_AREA, STATUS_AREA_SIZE = 0x1200, 0x200  # from absolute 0, or from a CPU's prefix, on
MCESAD = 0x11B0  # in a lowcore: u64, address of the additional status area
ADDITIONAL_SIZE = 0x200
ADDITIONAL_ALIGNMENT = 1024

REASON = (
    "status area: the firmware stores the IPL CPU's status at absolute 0x1200; the bytes there "
    "are that CPU's registers, those around it are unchanged"
)
KEPT_REASON = (
    "a stand-alone dump keeps each CPU's registers in its lowcore, where store status puts them; "
    "the bytes there are that CPU's registers, those around them are unchanged"
)
VECTORS_REASON = (
    "a stand-alone dump keeps each CPU's vector registers where its lowcore says (0x11b0), where "
    "store additional status puts them; the bytes there are V0-V31 of that CPU"
)


class Stored(NamedTuple):
    """A register as store status writes it; ``offset`` is from the start of its area."""

    name: str
    offset: int
    content: bytes


class AreaKind(Enum):
    """What stored the registers; the value is what messages call the area."""

    STATUS = "status area"
    ADDITIONAL = "additional status area"


@dataclass(frozen=True)
class Area:
    """``size`` bytes from absolute ``start`` on, in one page, that may hold ``owner``'s registers.

    ``where`` and ``reason`` are those of an allowed difference.
    """

    start: int
    size: int
    owner: str
    stored: tuple[Stored, ...]
    where: str
    reason: str
    kind: AreaKind = AreaKind.STATUS

    @property
    def end(self) -> int:
        """The first absolute address behind it."""
        return self.start + self.size


def areas(cpus: Sequence[CpuState], ipl_cpu: CpuState, ram: RamImage, form: str) -> Iterator[Area]:
    """Every area of a dump of format ``form``; ``cpus`` and ``ram`` are as at the crash."""
    yield Area(
        STATUS_AREA,
        STATUS_AREA_SIZE,
        "the IPL CPU",
        tuple(stored_registers(ipl_cpu)),
        f"page {STATUS_PAGE:#x}",
        REASON,
    )
    if format_named(form).registers_in_memory:
        for address, cpu in enumerate(cpus):
            if cpu.prefix:  # the other CPUs were never started, and are in no dump
                yield from _kept(f"CPU {address}", cpu, ram)


def _kept(owner: str, cpu: CpuState, ram: RamImage) -> Iterator[Area]:
    status = status_of(cpu, cpu.prefix + STATUS_AREA, owner)
    if status.end > ram.size:
        return
    yield status
    vectors = vectors_in(cpu, ram, owner)
    if vectors is not None:
        yield vectors


def vectors_in(cpu: CpuState, ram: RamImage, owner: str = "the CPU") -> Area | None:
    """The CPU's additional status area in memory; None if its lowcore names none."""
    start = int.from_bytes(ram.read(cpu.prefix + MCESAD, 8), "big")
    fits = start and start % ADDITIONAL_ALIGNMENT == 0 and start + ADDITIONAL_SIZE <= ram.size
    return vectors_of(cpu, start, owner) if fits else None


def status_of(cpu: CpuState, start: int, owner: str = "the CPU") -> Area:
    """The area at ``start`` with the status of this CPU."""
    where = f"{owner}'s status area at {start:#x}"
    registers = tuple(stored_registers(cpu))
    return Area(start, STATUS_AREA_SIZE, owner, registers, where, KEPT_REASON)


def vectors_of(cpu: CpuState, start: int, owner: str = "the CPU") -> Area:
    """The area at ``start`` with the additional status of this CPU."""
    where = f"{owner}'s additional status area at {start:#x}"
    registers = tuple(stored_vectors(cpu))
    kind = AreaKind.ADDITIONAL
    return Area(start, ADDITIONAL_SIZE, owner, registers, where, VECTORS_REASON, kind)


def stored_registers(cpu: CpuState) -> Iterator[Stored]:
    """Every field of a status area that the architecture defines, without the gaps."""
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


def stored_vectors(cpu: CpuState) -> Iterator[Stored]:
    """V0-V31 in an additional status area; there are no other fields."""
    for number, value in enumerate(cpu.vxrs or ()):
        yield Stored(f"vr{number}", number * 16, value.to_bytes(16, "big"))


def faults(page: int, dumped: bytes, before: bytes, allowed: Sequence[Area]) -> tuple[str, ...]:
    """Why a page of the dump is not the old page with registers stored into it; () if it is.

    ``page`` is its absolute address, ``dumped`` and ``before`` are 4096 bytes each, ``allowed``
    the areas in it. Bytes of an area that belong to no register may be zero or as they were.
    """
    outside, at = [], page
    for area in sorted(allowed, key=lambda area: area.start):
        outside.append((at, area.start))
        at = area.end
    outside.append((at, page + len(dumped)))
    if any(
        dumped[start - page : end - page] != before[start - page : end - page]
        for start, end in outside
    ):
        names = " and ".join(
            f"the {area.kind.value} {area.start:#x}-{area.end - 1:#x}" for area in allowed
        )
        return (f"it differs outside of {names}",)
    found: list[str] = []
    for area in allowed:
        part = slice(area.start - page, area.end - page)
        found += _faults_in(area, dumped[part], before[part])
    return tuple(found)


def _faults_in(area: Area, dumped: bytes, before: bytes) -> Iterator[str]:
    undefined = set(range(area.size))
    for register in area.stored:
        end = register.offset + len(register.content)
        undefined -= set(range(register.offset, end))
        stored = dumped[register.offset : end]
        if stored != register.content:
            yield (
                f"{register.name} is stored as {stored.hex()}, {area.owner} had "
                f"{register.content.hex()}"
            )
    for offset in sorted(undefined):
        if dumped[offset] not in (0, before[offset]):
            yield f"byte {area.start + offset:#x}, of no register, is {dumped[offset]:#04x}"
