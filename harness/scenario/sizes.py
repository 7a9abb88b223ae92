"""Sizes as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_size(text: str) -> int:
    """Bytes in '512M', '1 GiB' or '4096'; binary units. Raises ValueError on anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no size; write 512M, 1G or a number of bytes")
    return int(match[1]) << _SHIFT[match[2].upper()]


def format_size(size: int) -> str:
    """The shortest exact form: 512M, 1G, 4097."""
    for unit in ("T", "G", "M", "K"):
        if size and size % (1 << _SHIFT[unit]) == 0:
            return f"{size >> _SHIFT[unit]}{unit}"
    return str(size)
