"""Copy a disk image that a user gives; the image itself is never written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from harness.dump.byte_source import ByteSource, File
from harness.dump.given_disk.qcow2 import MOST, Qcow2, is_qcow2
from harness.errors import EvidenceError, HostError
from harness.files import sparse
from harness.host.fault import cannot_grow, no_space
from harness.s390x.zipl import BLOCK_SIZE

_OTHERS = {  # where, what: images that are not what the disk has
    (0, b"KDMV"): "VMDK",
    (0, b"# Disk DescriptorFile"): "VMDK",
    (0x40, b"\x7f\x10\xda\xbe"): "VDI",
    (0, b"vhdxfile"): "VHDX",
    (0, b"conectix"): "VHD",
}
_HINT = "qemu-img convert -O raw makes a plain image of it"


def open_image(path: Path) -> File:
    """A file as it is, or the disk in a qcow2 image; raises EvidenceError, HostError without room.

    What is unpacked goes to a file without a name.
    """
    image = File.open(path)
    if not is_qcow2(image):
        return image
    with image, TemporaryFile() as file:
        disk = Qcow2.of(image)
        with _room(path, disk.size):
            disk.unpack(file.fileno())
        return File(path, os.fdopen(os.dup(file.fileno()), "rb"))


def in_qcow2(path: Path) -> bool:
    """Whether a file is a qcow2 image; raises EvidenceError if it cannot be read."""
    with File.open(path) as image:
        return is_qcow2(image)


def copy_image(source: Path, target: Path) -> str:
    """Copy the disk in an image to the new raw file ``target``; returns the image's format.

    Raises EvidenceError for an image that is no disk, or must not be read; HostError without room.
    """
    with File.open(source) as image:
        if is_qcow2(image):
            disk = Qcow2.of(image)
            with target.open("xb") as file, _room(target, disk.size):
                disk.unpack(file.fileno())
            return "qcow2"
        _require_raw(image)
    sparse.copy(source, target)
    return "raw"


def _require_raw(image: ByteSource) -> None:
    for (at, magic), name in _OTHERS.items():
        if image.upto(at, len(magic)) == magic:
            raise EvidenceError(f"{image.name}: is an image in the format {name}", hint=_HINT)
    if image.size < BLOCK_SIZE:
        raise EvidenceError(f"{image.name}: {image.size} bytes are no disk")
    if image.size > MOST:
        raise EvidenceError(f"{image.name}: {image.size} bytes are too many: {MOST} are the most")


@contextmanager
def _room(where: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not cannot_grow(error):
            raise HostError(f"{where}: {os.strerror(error.errno or 0)}") from error
        raise no_space(error, f"the {size} bytes of {where}") from error
