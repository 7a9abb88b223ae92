"""Facts in a kernel image file."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from harness.errors import UsageError
from harness.host.fault import unusable
from harness.host.paths import require_file
from harness.images.kernel.unpack import Between, Holds, unpacked
from harness.limits import limits, require
from harness.s390x.zipl import ENTRY_MARK, ENTRY_OFFSET

_HEAD = ENTRY_OFFSET + len(ENTRY_MARK)
# arch/s390/include/asm/setup.h, struct parmarea at 0x10400: kernel_version
VERSION_POINTER = 0x10428

_IKCONFIG_START = b"IKCFG_ST"
_IKCONFIG_END = b"IKCFG_ED"
_LARGEST_CONFIG = 4 << 20  # bytes; 300 KB are usual
_FOREIGN = (
    (0, b"\x7fELF", "an ELF file; the bootable image is arch/s390/boot/bzImage"),
    (0x202, b"HdrS", "an x86 bzImage"),
    (0x38, b"ARM\x64", "an arm64 Image"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"MZ", "an EFI program"),
)


def check(path: Path) -> bytes:
    """The content of an s390 kernel image; raises UsageError, which tells what it is instead.

    Raises LimitError if it is larger than any kernel.
    """
    require_file(path, "kernel")
    try:
        with path.open("rb") as file:
            data = file.read(_HEAD)
            if data[ENTRY_OFFSET:] == ENTRY_MARK:  # otherwise it could be anything, of any size
                size = os.fstat(file.fileno()).st_size
                require(f"kernel {path}", "bytes", size, limits().kernel_image)
                return data + file.read(max(0, size - len(data)))
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
    """``RELEASE (BY@HOST) #COUNT ... TIME`` of the kernel in an image; empty if unknown."""
    pointer = int.from_bytes(data[VERSION_POINTER : VERSION_POINTER + 8], "big")
    return data[pointer : pointer + 256].split(b"\0", 1)[0] if pointer else b""


class _Config(Between):
    def __init__(self) -> None:
        super().__init__(_IKCONFIG_START, _IKCONFIG_END, _LARGEST_CONFIG)


def embedded_config(data: bytes, name: str) -> str | None:
    """The configuration that CONFIG_IKCONFIG put into the image ``name``."""
    for payload in unpacked(data, ENTRY_OFFSET, name, _Config):
        if payload.found:
            try:
                return zlib.decompressobj(31).decompress(payload.found, _LARGEST_CONFIG).decode()
            except (ValueError, zlib.error):
                continue
    return None


def can_dump(data: bytes, name: str) -> bool | None:
    """Whether the kernel has CONFIG_CRASH_DUMP, as its code tells; None if unreadable."""
    return holds(data, b"zcore", name)


def holds(data: bytes, wanted: bytes, name: str) -> bool | None:
    """Whether ``wanted`` is in the kernel that an image unpacks; None if there is none.

    Raises LimitError, with ``name``, if it unpacks to more than any kernel.
    """
    payloads = [item.found for item in unpacked(data, ENTRY_OFFSET, name, lambda: Holds(wanted))]
    return any(payloads) if payloads else None
