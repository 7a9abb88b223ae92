"""Dynamic address translation: from a virtual address to an absolute one, by the tables in memory.

Sans I/O: the caller reads the table entries. The tables contain real addresses, which are used as
absolute ones. They differ only in the prefix areas, and no table is there.

Source: Principles of Operation, chapter 3 "Dynamic Address Translation".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.errors import EvidenceError

REAL_SPACE = 0x20  # in an ASCE: no tables, virtual is real
TYPE_SHIFT, TYPE_MASK = 2, 3  # designation type of an ASCE, table type of an entry
LENGTH_MASK = 3  # table length: the quarters of a table that are there
ORIGIN = ~0xFFF
INVALID = 0x20  # in a region- or segment-table entry
FRAME = 0x400  # in a region-third- or segment-table entry: it names memory, not a table
TABLE_OFFSET_SHIFT, TABLE_OFFSET_MASK = 6, 3  # in a region-table entry
PAGE_TABLE_ORIGIN = ~0x7FF
PAGE_INVALID, PAGE_RESERVED = 0x400, 0x800
_INDEX_MASK = 0x7FF  # 2048 entries in region and segment tables
_PAGE_INDEX_SHIFT, _PAGE_INDEX_MASK, _PAGE_MASK = 12, 0xFF, 0xFFF


class NotMapped(EvidenceError):
    """The tables lead to no absolute address."""


class Level(NamedTuple):
    """A kind of table: its index begins at bit ``shift`` of the virtual address."""

    name: str
    shift: int


# by designation type
LEVELS = (
    Level("segment", 20),
    Level("region-third", 31),
    Level("region-second", 42),
    Level("region-first", 53),
)


def translate(asce: int, virtual: int, read: Callable[[int], int]) -> int:
    """The absolute address behind ``virtual`` in the address space of ``asce``.

    ``read`` returns the 8-byte entry at an absolute address; its exceptions are passed on. Raises
    NotMapped, which names table and entry, if the address is not mapped.
    """
    if asce & REAL_SPACE:
        return virtual
    level = asce >> TYPE_SHIFT & TYPE_MASK
    if virtual >> LEVELS[level].shift > _INDEX_MASK:
        raise _fault(virtual, f"is beyond what a {LEVELS[level].name} table maps")
    origin, first, last = asce & ORIGIN, 0, asce & LENGTH_MASK
    while True:
        name, shift = LEVELS[level]
        index = virtual >> shift & _INDEX_MASK
        if not first <= index >> 9 <= last:
            raise _fault(
                virtual, f"needs entry {index} of the {name} table at {origin:#x}, too short"
            )
        at = origin + index * 8
        entry = read(at)
        where = f"the {name}-table entry {entry:#018x} at {at:#x}"
        if entry & INVALID:
            raise _fault(virtual, f"is not mapped: {where} is invalid")
        if entry >> TYPE_SHIFT & TYPE_MASK != level:
            raise _fault(virtual, f"cannot be translated: {where} is of another table type")
        if entry & FRAME and level <= 1:
            offset = (1 << shift) - 1
            return entry & ~offset | virtual & offset
        if level == 0:
            return _page(entry & PAGE_TABLE_ORIGIN, virtual, read)
        origin, last = entry & ORIGIN, entry & LENGTH_MASK
        first = entry >> TABLE_OFFSET_SHIFT & TABLE_OFFSET_MASK
        level -= 1


def _page(origin: int, virtual: int, read: Callable[[int], int]) -> int:
    at = origin + (virtual >> _PAGE_INDEX_SHIFT & _PAGE_INDEX_MASK) * 8
    entry = read(at)
    where = f"the page-table entry {entry:#018x} at {at:#x}"
    if entry & PAGE_INVALID:
        raise _fault(virtual, f"is not mapped: {where} is invalid")
    if entry & PAGE_RESERVED:
        raise _fault(virtual, f"cannot be translated: bit 52 of {where} is one")
    return entry & ORIGIN | virtual & _PAGE_MASK


def _fault(virtual: int, what: str) -> NotMapped:
    return NotMapped(f"virtual address {virtual:#x} {what}")
