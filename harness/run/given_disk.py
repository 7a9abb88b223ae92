"""The dump disk of a run: a copy of the prepared one, or of one that the user gives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness.dump.byte_source import ByteSource, File
from harness.dump.disk.ext_files import ExtFile, ext_kind
from harness.dump.disk.ngdump import META
from harness.dump.disk.partition_table import partition_numbered, read_table
from harness.dump.disk.zipl_superblock import is_dump_disk, program_table_at
from harness.dump.given_disk.boot_map import BootMap, has_boot_record, read_boot_map
from harness.dump.given_disk.earlier import overwrite_files, overwrite_room
from harness.dump.given_disk.image import copy_image
from harness.dump_tools.destination import Destination, destination
from harness.errors import EvidenceError, UsageError
from harness.files import sparse
from harness.host.paths import require_file
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.zipl import SECTOR_SIZES
from harness.scenario.model import Dump

_CHUNK = 1 << 20
# XFS_SB_MAGIC; BTRFS_SUPER_INFO_OFFSET and its magic
_OTHERS = {DiskLayout.XFS: (0, b"XFSB"), DiskLayout.BTRFS: (0x10040, b"_BHRfS_M")}
_MOST_HASHED = 16 << 30  # bytes of an image, holes included: some ten seconds


@dataclass(frozen=True)
class DumpDisk:
    """The disk that is loaded and written to, and where the dump is expected.

    ``earlier`` are dumps that it had before the run, and ngdump.meta. ``given`` tells of a user's
    disk, for the evidence; None if the harness prepared the disk. ``fault`` is what is wrong with
    its boot map, ``unusable`` why it is not loaded at all. ``under_test``: the user's zipl
    prepared it.
    """

    layout: DiskLayout
    sector_size: int
    destination: Destination | None = None
    earlier: frozenset[ExtFile] = frozenset()
    given: Mapping[str, Any] | None = None
    fault: str | None = None
    unusable: str | None = None
    under_test: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """JSON, for the inputs of the verdict."""
        return {} if self.given is None else {"dump disk": self.given}

    @classmethod
    def prepared(cls, how: Dump, path: Path) -> Self:
        """One that the harness prepared, at ``path``: with its own zipl, or the user's."""
        if how.zipl is None:
            return cls(how.layout, how.sector_size)
        with File.open(path) as disk:
            disk.name = f"the disk of {how.zipl}"
            _, fault = _boot_map(disk, how.sector_size)
        return cls(how.layout, how.sector_size, fault=fault, under_test=True)


def copy_given(path: Path, how: Dump, target: Path) -> DumpDisk:
    """Copy the disk in the image at ``path`` to ``target``, and see what it is.

    ``how`` are the fields of the scenario. Raises UsageError for an image that cannot be used, and
    for one that zipl has not prepared; HostError without room for the copy.
    """
    require_file(path, "dump disk")
    try:
        form = copy_image(path, target)
    except EvidenceError as error:
        raise UsageError(f"dump disk {error.message}", hint=error.hint) from error
    with File.open(target) as disk:
        disk.name = str(path)
        if not has_boot_record(disk):
            raise UsageError(
                f"dump disk {path}: no zIPL boot record in block 0",
                hint="prepare it with zipl, for a SCSI disk: docs/disks.md",
            )
        seen = _Seen.of(disk, how)
    return seen.disk(path, form, how, target)


@dataclass(frozen=True)
class _Seen:
    """What a disk tells; ``kind`` is that of the file system at the destination."""

    sector_size: int
    destination: Destination
    is_partition: bool
    kind: DiskLayout
    boot_map: BootMap | None = None
    fault: str | None = None

    @classmethod
    def of(cls, disk: ByteSource, how: Dump) -> Self:
        size = how.sector_size if how.given("sector_size") else _sector_size(disk)
        boot_map, fault = _boot_map(disk, size)
        told = destination(boot_map.parmline or "" if boot_map else "")
        number = how.partition if how.given("partition") else told.partition
        where = Destination(number or 1, told.directory)
        kind, raw = _kind(disk, where.partition or 1, size), is_dump_disk(disk)
        if not raw and kind.boots_from_beside:
            raise UsageError(
                f"dump disk {disk.name}: its dump goes to {kind}, where an old dump cannot be told "
                "from a new one",
                hint="choose a file system of ext2, ext3 or ext4, or a raw dump partition",
            )
        return cls(size, where, raw, kind, boot_map, fault)

    def disk(self, path: Path, form: str, how: Dump, target: Path) -> DumpDisk:
        content, unusable = sparse.digest(target), None
        parmline = self.boot_map.parmline if self.boot_map else None
        given: dict[str, Any] = {"given": str(path), "format": form, "content": content}
        digest = _sha256(path)
        given |= {} if digest is None else {"sha256": digest}
        given |= {"sector_size": self.sector_size, "parmline": parmline}
        layout, earlier = self.kind, frozenset[ExtFile]()
        if self.is_partition:
            layout = DiskLayout.PARTITION
            try:
                given["overwritten"] = overwrite_room(target, self.boot_map)
            except EvidenceError as error:
                unusable = f"{path}: {error.message}"
        else:
            number = self.destination.partition or 1
            given |= {"partition": number, "directory": self.destination.directory}
            where, size = self.destination, self.sector_size
            earlier = overwrite_files(target, where, size, self.boot_map)
            given["dumps before"] = sum(file.path != f"/{META}" for file in earlier)
        return DumpDisk(
            layout,
            self.sector_size,
            None if self.is_partition else self.destination,
            earlier,
            given | {"layout": str(layout), "fault": self.fault},
            self.fault,
            unusable,
            under_test=True,
        )


def _boot_map(disk: ByteSource, sector_size: int) -> tuple[BootMap | None, str | None]:
    """The boot map, or what is wrong with it. zipl is under test, too: the IPL decides."""
    try:
        return read_boot_map(disk, sector_size), None
    except EvidenceError as error:
        return None, error.message


def _sector_size(disk: ByteSource) -> int:
    """The size that zipl's pointers count in, else that of the partition table."""
    fitting = [size for size in SECTOR_SIZES if program_table_at(disk, size) is not None]
    if len(fitting) == 1:
        return fitting[0]
    try:
        table = read_table(disk)
    except EvidenceError:
        table = None
    return table.sector_size if table else SECTOR_SIZES[0]


def _kind(disk: ByteSource, number: int, sector_size: int) -> DiskLayout:
    """The file system on a partition; ext4 if there is none: the check of the dump tells it."""
    try:
        place = partition_numbered(disk, number, sector_size)
    except EvidenceError:
        return DiskLayout.EXT4
    if (kind := ext_kind(disk, place.start)) is not None:
        return kind
    for kind, (at, magic) in _OTHERS.items():
        if disk.upto(place.start + at, len(magic)) == magic:
            return kind
    return DiskLayout.EXT4


def _sha256(path: Path) -> str | None:
    """The SHA-256 of a file, as sha256sum prints it; None for one that is too large."""
    if path.stat().st_size > _MOST_HASHED:
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
