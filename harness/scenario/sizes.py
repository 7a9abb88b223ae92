"""Sizes as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(0x[0-9a-f]+)|(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_size(text: str) -> int:
    """Bytes in '512M', '1 GiB', '4096' or '0x1000'; binary units. Raises ValueError otherwise."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no size; write 512M, 1G or a number of bytes")
    if match[1]:
        return int(match[1], 16)
    return int(match[2]) << _SHIFT[match[3].upper()]


def format_size(size: int) -> str:
    """The shortest exact form: 512M, 1G, 4097."""
    for unit in ("T", "G", "M", "K"):
        if size and size % (1 << _SHIFT[unit]) == 0:
            return f"{size >> _SHIFT[unit]}{unit}"
    return str(size)
