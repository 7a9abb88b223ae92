"""Offsets of fields in a declarative layout."""

from __future__ import annotations

from dissect.cstruct import Structure


def offset_of(structure: type[Structure], field: str) -> int:
    """Bytes from the start of ``structure``; raises ValueError if the offset is not fixed."""
    offset = structure.fields[field].offset
    if offset is None:
        raise ValueError(f"{structure.__name__}.{field} has no fixed offset")
    return offset
