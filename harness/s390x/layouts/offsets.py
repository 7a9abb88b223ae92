"""Where a field of a declarative layout is."""

from __future__ import annotations

from dissect.cstruct import Structure


def offset_of(structure: type[Structure], field: str) -> int:
    """Bytes from the start of ``structure`` on; raises ValueError if that is not fixed."""
    offset = structure.fields[field].offset
    if offset is None:
        raise ValueError(f"{structure.__name__}.{field} has no fixed offset")
    return offset
