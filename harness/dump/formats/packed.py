"""Unpack pages that are compressed one by one; size fields in the data are not trusted."""

from __future__ import annotations

import zlib

import zstandard

_MAX_WINDOW = 1 << 20  # bytes; compressors use less for one page


def unzlib(data: bytes, size: int) -> bytes:
    """``size`` bytes; raises ValueError if ``data`` is not a zlib stream of so many bytes."""
    unpacker = zlib.decompressobj()
    try:
        page = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"zlib: {error}") from error
    return _whole(page, size)


def unzstd(data: bytes, size: int) -> bytes:
    """``size`` bytes; raises ValueError if ``data`` is not a zstd frame of so many bytes."""
    try:
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        with unpacker.stream_reader(data) as reader:
            page = reader.read(size + 1)
    except zstandard.ZstdError as error:
        raise ValueError(f"zstd: {error}") from error
    return _whole(page, size)


def _whole(page: bytes, size: int) -> bytes:
    if len(page) != size:
        more = " or more" if len(page) > size else ""
        raise ValueError(f"unpacks to {len(page)}{more} bytes, not {size}")
    return page
