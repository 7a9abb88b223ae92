"""Unpack pages that are compressed one by one; size fields in the data are not trusted.

LZO and snappy need packages that are not always installed (pyproject.toml, ``kdump``).
"""

from __future__ import annotations

import zlib
from importlib import import_module

import zstandard

_MAX_WINDOW = 1 << 20  # bytes; compressors use less for one page
LZO_PACKAGE, SNAPPY_PACKAGE = "lzallright", "cramjam"


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


def unlzo(data: bytes, size: int) -> bytes:
    """``size`` bytes; raises ValueError if ``data`` is not an LZO1X stream of so many bytes.

    Its result may be longer first, by no more than LZO can pack: 255 times ``data``.
    """
    lzo = import_module(LZO_PACKAGE)
    try:
        page: bytes = lzo.LZOCompressor.decompress(data, size)
    except lzo.LZOError as error:
        raise ValueError(f"lzo: {error.args[0]}") from error
    return _whole(page, size)


def unsnappy(data: bytes, size: int) -> bytes:
    """``size`` bytes; raises ValueError if ``data`` is not a snappy block of so many bytes."""
    cramjam = import_module(SNAPPY_PACKAGE)
    page = bytearray(size)
    try:
        count = cramjam.snappy.decompress_raw_into(data, page)
    except cramjam.DecompressionError as error:
        raise ValueError(str(error)) from error
    return _whole(bytes(page[:count]), size)


def _whole(page: bytes, size: int) -> bytes:
    if len(page) != size:
        more = " or more" if len(page) > size else ""
        raise ValueError(f"unpacks to {len(page)}{more} bytes, not {size}")
    return page
