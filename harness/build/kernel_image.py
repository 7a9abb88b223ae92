"""What a kernel image file tells about itself."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import UsageError
from harness.host_fault import unusable
from harness.paths import require_file

# arch/s390/boot/head.S (Linux 6.12): EP_OFFSET, EP_STRING
ENTRY_OFFSET = 0x10008
ENTRY_MARK = b"S390EP"
_HEAD = ENTRY_OFFSET + len(ENTRY_MARK)
# arch/s390/include/asm/setup.h, struct parmarea at 0x10400: kernel_version
VERSION_POINTER = 0x10428

_IKCONFIG_START = b"IKCFG_ST"
_IKCONFIG_END = b"IKCFG_ED"
_FOREIGN = (
    (0, b"\x7fELF", "an ELF file; the bootable image is arch/s390/boot/bzImage"),
    (0x202, b"HdrS", "an x86 bzImage"),
    (0x38, b"ARM\x64", "an arm64 Image"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"MZ", "an EFI program"),
)
_PAYLOADS: dict[bytes, Callable[[bytes], bytes]] = {  # how a payload begins, and what undoes it
    b"\x1f\x8b\x08": lambda data: zlib.decompressobj(31).decompress(data),
    b"\xfd7zXZ\0": lambda data: lzma.LZMADecompressor().decompress(data),
    b"BZh": lambda data: bz2.BZ2Decompressor().decompress(data),
}


def check(path: Path) -> bytes:
    """The content of an s390 kernel image; raises UsageError saying what it is instead."""
    require_file(path, "kernel")
    try:
        with path.open("rb") as file:
            data = file.read(_HEAD)
            if data[ENTRY_OFFSET:] == ENTRY_MARK:  # else it could be anything, of any size
                return data + file.read()
    except OSError as error:
        raise unusable(f"kernel {path}", error) from error
    for offset, magic, what in _FOREIGN:
        if data[offset : offset + len(magic)] == magic:
            raise UsageError(f"kernel {path} is not an s390 kernel image: {what}")
    what = "an empty file" if not data else "no 'S390EP' at 0x10008"
    raise UsageError(f"kernel {path} is not an s390 kernel image: {what}")


def release(data: bytes) -> str:
    """``uname -r`` of the kernel in an image, or 'unknown'."""
    return version(data).split(b" ", 1)[0].decode("ascii", "replace") or "unknown"


def version(data: bytes) -> bytes:
    """``RELEASE (BY@HOST) #COUNT ... TIME`` of the kernel in an image; empty if it is not told."""
    pointer = int.from_bytes(data[VERSION_POINTER : VERSION_POINTER + 8], "big")
    return data[pointer : pointer + 256].split(b"\0", 1)[0] if pointer else b""


def embedded_config(data: bytes) -> str | None:
    """The configuration that CONFIG_IKCONFIG put into an image."""
    for kernel in decompressed(data):
        start = kernel.find(_IKCONFIG_START)
        end = kernel.find(_IKCONFIG_END, start)
        if 0 <= start < end:
            try:
                return gzip.decompress(kernel[start + len(_IKCONFIG_START) : end]).decode()
            except (OSError, EOFError, zlib.error):
                continue
    return None


def can_dump(data: bytes) -> bool | None:
    """Whether the kernel has CONFIG_CRASH_DUMP, judged by its code; None if unreadable."""
    found = None
    for kernel in decompressed(data):
        found = bool(found) or b"zcore" in kernel
    return found


def decompressed(data: bytes) -> Iterator[bytes]:
    """The kernel behind the decompressor, for each place where a payload could begin."""
    for magic, decompress in _PAYLOADS.items():
        start = data.find(magic, ENTRY_OFFSET)
        while start >= 0:
            try:
                kernel = decompress(data[start:])
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
                kernel = b""
            if len(kernel) > len(data) // 2:
                yield kernel
            start = data.find(magic, start + 1)
