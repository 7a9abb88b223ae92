"""Look for known files on an ext2/3/4 partition after the dump."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from harness.dump.byte_source import ByteSource, File
from harness.dump.disk.ext_files import ExtFile, FileSystem
from harness.dump.disk.partition_table import partition_numbered
from harness.errors import EvidenceError
from harness.evidence.known_files import FoundFile, KnownFile

_PIECE = 1 << 20


def look_for(
    disk: Path, partition: int, wanted: Iterable[KnownFile], sector_size: int | None = None
) -> list[FoundFile]:
    """What is at the path of each of ``wanted``.

    A disk or a file system that cannot be read is the fault of each file. Raises HostError if
    debugfs is missing.
    """
    with File.open(disk) as image:
        image.name = disk.name
        try:
            place = partition_numbered(image, partition, sector_size)
        except EvidenceError as error:
            return [FoundFile(path=file.path, fault=error.message) for file in wanted]
        file_system = FileSystem(image, place.start, place.size)
        return [_look(file_system, file) for file in wanted]


def _look(file_system: FileSystem, wanted: KnownFile) -> FoundFile:
    try:
        found = file_system.find(wanted.path)
        if found is None:
            return FoundFile(path=wanted.path)
        if found.size != wanted.size:  # a hostile size is never read
            return FoundFile(path=wanted.path, size=found.size)
        digest = _digest(file_system.content(found)) if found.size else hashlib.sha256()
    except EvidenceError as error:
        return FoundFile(path=wanted.path, fault=error.message)
    return FoundFile(
        path=wanted.path, size=found.size, inode=found.inode, sha256=digest.hexdigest()
    )


def ext_files(known: Iterable[KnownFile]) -> frozenset[ExtFile]:
    """Known files, as they are in a file system that nobody has changed."""
    return frozenset(ExtFile(file.path, file.inode, file.size, file.mtime) for file in known)


def _digest(content: ByteSource) -> hashlib._Hash:
    digest = hashlib.sha256()
    for at in range(0, content.size, _PIECE):
        digest.update(content.read(at, min(_PIECE, content.size - at)))
    return digest
