"""Registers in a dump that keeps them in memory: in the status area of each CPU's lowcore.

References: s390-tools ``zdump/dfi.c`` (lc2cpu_64, dfi_cpu_lc_has_vx_sa), ``zdump/dfo_s390.c``,
``zipl/boot/stage2dump.c`` (copy_lowcore_64, should_dump_vx).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import MCESAD, PAGE_SIZE, STATUS_AREA, STATUS_AREA_SIZE
from harness.s390x.storestatus import (
    ADDITIONAL_STATUS_SIZE,
    additional_status_area,
    cpu_state,
    status_area,
)

_MCESA_ALIGNMENT = 1024

Read = Callable[[int, int], bytes]  # (absolute address, size) -> memory


class Patch(NamedTuple):
    """Bytes that memory must have from an absolute address on; all within one page."""

    address: int
    data: bytes


def stored_cpu(read: Read, prefix: int, end: int) -> CpuState:
    """The CPU whose lowcore is at ``prefix``, in memory up to ``end``.

    V16-V31 and the right halves of V0-V15 are unknown if they are not stored. Exceptions of
    ``read`` are passed on.
    """
    area = read(prefix + STATUS_AREA, STATUS_AREA_SIZE)
    vectors_at = vector_area(read, prefix, end)
    if vectors_at is None:
        return cpu_state(area)
    return cpu_state(area, read(vectors_at, ADDITIONAL_STATUS_SIZE))


def vector_area(read: Read, prefix: int, end: int) -> int | None:
    """The address of the stored vector registers; None if they are not stored.

    s390-tools neither store nor read them if the address is not a multiple of 1024: Linux uses
    such an address for an area that also has room for the guarded storage registers.
    """
    (address,) = struct.unpack(">Q", read(prefix + MCESAD, 8))
    fits = address and address % _MCESA_ALIGNMENT == 0 and address + ADDITIONAL_STATUS_SIZE <= end
    return int(address) if fits else None


def kept_cpus(dump: Dump) -> tuple[CpuState, ...]:
    """The CPUs that such a dump has: the CPUs with a prefix. The others were never started.

    Raises EvidenceError if registers of one are not known: zeros would be in their place.
    """
    return tuple(cpu for cpu in _whole(dump) if cpu.prefix)


def _whole(dump: Dump) -> Iterator[CpuState]:
    for number, cpu in enumerate(dump.cpus):
        whole = cpu.whole
        if whole is None:
            raise EvidenceError(
                f"{dump.name}: CPU {number}: the dump does not have all its registers "
                f"({', '.join(cpu.unknown)}), and a stand-alone dump has no way to say so"
            )
        yield whole


def register_patches(dump: Dump, cpus: Sequence[CpuState], end: int) -> tuple[Patch, ...]:
    """The changes that put the registers into memory; () if they are there already.

    Vector registers are left out if the crashed system had no room for them. Raises EvidenceError
    if a CPU's lowcore is not in the dump, or if two CPUs would share it.
    """
    patches: list[Patch] = []
    for number, cpu in enumerate(cpus):
        if cpu.prefix % PAGE_SIZE:
            raise EvidenceError(f"{dump.name}: CPU {number}: prefix {cpu.prefix:#x} is no address")
        try:
            patches += _patches_of(dump.read, cpu, end)
        except EvidenceError as error:
            raise EvidenceError(
                f"{dump.name}: CPU {number}: registers would be kept in the lowcore at "
                f"{cpu.prefix:#x}: {error.without(dump.name)}"
            ) from error
    read = _patched(dump.read, patches)
    for number, cpu in enumerate(cpus):
        if not _keeps(read, cpu, end):
            raise EvidenceError(
                f"{dump.name}: CPU {number}: another CPU's registers would be kept at the same "
                f"place as its own, in the lowcore at {cpu.prefix:#x}"
            )
    return tuple(patches)


def _patches_of(read: Read, cpu: CpuState, end: int) -> Iterator[Patch]:
    if _keeps(read, cpu, end):
        return
    at = cpu.prefix + STATUS_AREA
    # status_area() shifts the comparator, but in a dump it is shifted already
    unshifted = replace(cpu, clock_comparator=cpu.clock_comparator << 8)
    yield Patch(at, status_area(unshifted, read(at, STATUS_AREA_SIZE)))
    vectors_at = vector_area(read, cpu.prefix, end)
    if vectors_at is not None and cpu.vxrs is not None:
        yield Patch(vectors_at, additional_status_area(cpu))


def _keeps(read: Read, cpu: CpuState, end: int) -> bool:
    """Whether memory has the known registers of the CPU, if it has room for them."""
    stored = stored_cpu(read, cpu.prefix, end)
    if stored.vxrs is None or cpu.vxrs is None:
        return stored.without_vectors() == cpu.without_vectors()
    return stored == cpu


def _patched(read: Read, patches: Sequence[Patch]) -> Read:
    def patched(address: int, size: int) -> bytes:
        data = bytearray(read(address, size))
        for patch in patches:
            start = max(address, patch.address)
            stop = min(address + size, patch.address + len(patch.data))
            if start < stop:
                data[start - address : stop - address] = patch.data[
                    start - patch.address : stop - patch.address
                ]
        return bytes(data)

    return patched
