"""Unpack a disk image in QEMU's format qcow2; the image may be hostile.

Nothing but the image itself is read: one with a backing file or an external data file is refused.
Source of the format: QEMU ``docs/interop/qcow2.txt``; limits: ``block/qcow2.h``.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from harness.dump.byte_source import ByteSource
from harness.errors import EvidenceError

MAGIC = b"QFI\xfb"
MOST = 8 << 40  # bytes of a disk; a partition table of DOS takes a quarter of it
_HEADER = struct.Struct(">4sIQIIQIIQ")  # up to l1_table_offset
_INCOMPATIBLE_AT = 72
_DIRTY = 1 << 0  # only the reference counts are wrong, which nobody needs to read
_FEATURES = {  # of incompatible features, those that people use
    1 << 1: "it is marked as corrupt",
    1 << 2: "its data is in an external file, which is not read",
    1 << 3: "it is compressed with zstd",
    1 << 4: "it has extended L2 entries",
}
_CLUSTER_BITS = range(9, 22)
_MOST_L1 = 32 << 20  # bytes
_OFFSET = ((1 << 56) - 1) & ~511
_ZERO, _COMPRESSED = 1, 1 << 62
_SECTOR = 512
_HINT = "qemu-img convert -O raw makes a plain image of it"


def is_qcow2(image: ByteSource) -> bool:
    return image.upto(0, len(MAGIC)) == MAGIC


@dataclass(frozen=True)
class Qcow2:
    """The header of an image; ``size`` is that of the disk, in bytes."""

    image: ByteSource
    version: int
    cluster_bits: int
    size: int
    l1_entries: int
    l1_at: int

    @classmethod
    def of(cls, image: ByteSource) -> Self:
        """Raises EvidenceError for an image that cannot be unpacked, or must not be."""
        found = image.read(0, _HEADER.size, "qcow2 header")
        _, version, backing_at, _, bits, size, crypt, entries, at = _HEADER.unpack(found)
        why = _refused(image, version, backing_at, bits, size, crypt)
        cluster = 1 << bits if bits in _CLUSTER_BITS else 1 << 16
        needed = -(-size // (cluster * cluster // 8))
        if why is None and (entries < needed or entries * 8 > _MOST_L1):
            why = f"its L1 table has {entries} entries, a disk of {size} bytes needs {needed}"
        if why is not None:
            raise EvidenceError(f"{image.name}: qcow2: {why}", hint=_HINT)
        return cls(image, version, bits, size, entries, at)

    def unpack(self, fd: int) -> None:
        """Write the disk's content to the file ``fd``, which is empty; zeros become holes.

        Raises EvidenceError if the image lies; what is written is limited by the image's size.
        """
        os.ftruncate(fd, self.size)
        allowed = self.image.size  # each byte of the image is at one place of the disk
        for at, data, taken in self._clusters():
            allowed -= taken
            if allowed < 0:
                raise self._lie("it uses parts of itself more than once")
            if data.count(0) != len(data):
                _write(fd, data[: self.size - at], at)

    def _clusters(self) -> Iterator[tuple[int, bytes, int]]:
        """(offset on the disk, content, bytes of the image) of each cluster that has data."""
        cluster = 1 << self.cluster_bits
        per_table = cluster // 8
        seen: set[int] = set()
        for number, entry in self._table(self.l1_at, -(-self.size // (cluster * per_table))):
            l2_at = entry & _OFFSET
            if l2_at in seen:
                raise self._lie("two of its L2 tables are at one place")
            seen.add(l2_at)
            for index, entry2 in self._table(l2_at, per_table):
                at = (number * per_table + index) * cluster
                if at >= self.size:
                    break
                found = self._cluster(entry2)
                if found is not None:
                    yield at, *found

    def _table(self, at: int, entries: int) -> Iterator[tuple[int, int]]:
        """(number, value) of the entries that are not zero."""
        piece = 1 << 12
        for first in range(0, entries, piece):
            count = min(piece, entries - first)
            data = self.image.read(at + first * 8, count * 8, "qcow2 table")
            if data.count(0) == len(data):
                continue
            for index, value in enumerate(struct.unpack(f">{count}Q", data)):
                if value:
                    yield first + index, value

    def _cluster(self, entry: int) -> tuple[bytes, int] | None:
        cluster = 1 << self.cluster_bits
        if entry & _COMPRESSED:
            return self._inflated(entry)
        at = entry & _OFFSET
        if not at or (self.version > 2 and entry & _ZERO):
            return None
        if at >= self.image.size:
            raise self._lie(f"a cluster is said to be at {at:#x}, behind its end")
        # the last cluster of an image may be cut
        return self.image.upto(at, cluster).ljust(cluster, b"\0"), cluster

    def _inflated(self, entry: int) -> tuple[bytes, int]:
        cluster, bits = 1 << self.cluster_bits, 62 - (self.cluster_bits - 8)
        at = entry & ((1 << bits) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> bits) + 1
        packed = self.image.upto(at, sectors * _SECTOR - at % _SECTOR)
        try:
            data = zlib.decompressobj(-12).decompress(packed, cluster)
        except zlib.error as error:
            raise self._lie(f"a compressed cluster at {at:#x}: {error}") from error
        if len(data) < cluster:
            raise self._lie(f"a compressed cluster at {at:#x} is too short")
        return data, max(1, len(packed) - _SECTOR)  # neighbours share a sector

    def _lie(self, what: str) -> EvidenceError:
        return EvidenceError(f"{self.image.name}: qcow2: damaged: {what}", hint=_HINT)


def _refused(
    image: ByteSource, version: int, backing_at: int, bits: int, size: int, crypt: int
) -> str | None:
    """Why the image is not unpacked; None if it can be."""
    if version not in (2, 3):
        return f"version {version} is not known"
    if backing_at:
        return "it has a backing file, which is not read"
    if crypt:
        return "it is encrypted"
    if bits not in _CLUSTER_BITS:
        return f"its clusters have 2^{bits} bytes"
    if not 0 < size <= MOST:
        return (
            f"a disk of {size} bytes is too large: {MOST} are the most" if size else "it is empty"
        )
    features = 0
    if version > 2:
        features = int.from_bytes(image.read(_INCOMPATIBLE_AT, 8, "qcow2 header")) & ~_DIRTY
    known = next((why for bit, why in _FEATURES.items() if features & bit), None)
    return known or (f"its incompatible features {features:#x} are not known" if features else None)


def _write(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        view, at = view[done:], at + done
