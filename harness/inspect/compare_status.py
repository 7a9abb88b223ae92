"""The areas of store status, where two dumps of one crash may differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import PAGE_SIZE
from harness.verify import status_area
from harness.verify.differing import Difference
from harness.verify.status_area import Area

STATUS_REASON = (
    "status area: one of the dumps has the CPU's own registers there, as store status leaves "
    "them; the bytes around are the same in both"
)
ADDITIONAL_REASON = (
    "additional status area: one of the dumps has the CPU's own vector registers where its prefix "
    "area says that they are stored; the bytes around are the same in both"
)


class StoredStatus:
    """The areas into which store status may have stored the CPUs of either dump."""

    def __init__(self, one: Dump, other: Dump) -> None:
        """Raises EvidenceError if the CPUs of one of them cannot be read."""
        self._cpus = [*_as_stored(one), *_as_stored(other)]
        self._areas = {*_additional_areas(one), *_additional_areas(other)}

    def reason(self, difference: Difference) -> str | None:
        """Why a difference of this page is allowed; None if it is not."""
        if len(difference.one) != PAGE_SIZE:
            return None
        if self._is_status(difference):
            return STATUS_REASON
        return ADDITIONAL_REASON if self._is_additional_status(difference) else None

    def _is_status(self, difference: Difference) -> bool:
        """Whether one dump has the CPU's own status in that CPU's status area."""
        start = difference.address + status_area.STATUS_AREA - status_area.STATUS_PAGE
        at_zero = difference.address == status_area.STATUS_PAGE  # of the CPU that performed the IPL
        return _are_stored(
            difference,
            (
                status_area.status_of(cpu, start)
                for cpu in self._cpus
                if at_zero or cpu.prefix + status_area.STATUS_PAGE == difference.address
            ),
        )

    def _is_additional_status(self, difference: Difference) -> bool:
        """Whether a dump has CPUs' vector registers in their areas; a page may have 4 areas."""
        return _are_stored(
            difference,
            (
                area
                for area in self._areas
                if area.start - area.start % PAGE_SIZE == difference.address
            ),
        )


def _are_stored(difference: Difference, areas: Iterable[Area]) -> bool:
    """Whether registers in their own areas are the only difference of one of the two."""
    one, other = bytearray(difference.one), bytes(difference.other)
    for area in areas:
        part = slice(area.start - difference.address, area.end - difference.address)
        pair = bytes(one[part]), other[part]
        if any(
            not status_area.faults(area.start, stored, before, (area,))
            for stored, before in (pair, pair[::-1])
        ):
            one[part] = other[part]
    return one == other


def _as_stored(dump: Dump) -> Iterator[CpuState]:
    """The CPUs as they were when their status was stored, the clock comparator not shifted."""
    for cpu in _whole(dump):
        yield replace(cpu, clock_comparator=cpu.clock_comparator << 8)
        if cpu.clock_comparator >> 56:  # QEMU's own dump does not shift it
            yield cpu


def _whole(dump: Dump) -> Iterator[CpuState]:
    """The CPUs whose registers are all known: those of others cannot be in any area."""
    for cpu in dump.cpus_in_reach:
        whole = cpu.whole
        if whole is not None:
            yield whole


def _additional_areas(dump: Dump) -> Iterator[Area]:
    """Each CPU's area for vector registers."""
    for cpu in _whole(dump):
        try:
            pointer = dump.read(cpu.prefix + status_area.MCESAD, 8)
        except EvidenceError:  # a prefix beyond memory: there is no such page to differ
            continue
        start = int.from_bytes(pointer, "big")
        start -= start % status_area.ADDITIONAL_ALIGNMENT  # the bits below are the area's length
        if start:
            yield status_area.vectors_of(cpu, start)
