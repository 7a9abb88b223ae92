"""Dump disks: one partition on a raw SCSI disk image, prepared by the real zipl."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BuildError, UsageError, ZiplRefused
from harness.images.command import Tools
from harness.images.ext import FIXED, make_file_system
from harness.images.file_systems import files_guest, make_in_guest
from harness.images.initramfs.build import IMAGE
from harness.images.kernel.build import Kernel
from harness.images.partitions import MIB, NEIGHBOUR_SIZE, Placement
from harness.images.store import Built, Store
from harness.images.zipl.chosen import Zipl
from harness.images.zipl_guest import BootFiles, builder_initramfs, run_zipl
from harness.progress import Progress
from harness.qemu.disk import Disk
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.layouts.c_zipl import c_zipl
from harness.s390x.zipl import (
    BLOCK_SIZE,
    BOOT_INFO_DUMP,
    BOOT_INFO_SCSI,
    DUMP_SB_MAGIC,
    DUMP_SB_SIZE,
    MAGIC,
    RESERVED_SECTORS,
)

DISK = "disk.img"

PLAIN = Placement()
PARTITION_START = PLAIN.start
# beside the dump: kernel, ramdisk, boot map, ELF headers with the crashed kernel's image a second
# time (since Linux 6.10); and what zipl keeps, or the tables of a file system.
# Disk images are sparse, so a large size costs nothing.
PARTITION_EXTRA = 96 << 20
FILE_SYSTEM_EXTRA = 128 << 20
FILE_SYSTEM_SHARE = 32  # this part of the size, as 1/n

_EXT4_OWN = 3 * MIB  # what a small ext4 takes for its journal and tables, and zipl's boot map
_MOST_SECTORS = (1 << 32) - 1  # a DOS partition table has 32 bits for them

_PARTITION_ENTRY = struct.Struct("<B3sB3sII")  # status, CHS, type, CHS, first block, blocks
_PARTITION_TABLE = 0x1BE
_LINUX = 0x83
_NO_CHS = b"\xfe\xff\xff"
_SIGNATURE = b"\x55\xaa"


@dataclass(frozen=True)
class DiskSpec:
    """A disk of ``size`` bytes that loads ``kernel`` with ``ramdisk`` and ``parmline``.

    Without a ramdisk the kernel has its initramfs built in.
    A layout that boots from beside has a ``place`` with a neighbour. ``sector_size`` is in bytes;
    partition table and boot records count in sectors. ``zipl`` is one that is under test.
    """

    layout: DiskLayout
    size: int
    kernel: Kernel
    ramdisk: Built | None
    parmline: str
    sector_size: int = BLOCK_SIZE
    place: Placement = PLAIN
    zipl: Zipl | None = None  # default: that of the images' own packages

    @property
    def boot_partition(self) -> tuple[int, int, int]:
        """Number, start and size of the partition that zipl writes to; bytes."""
        place = self.place
        if not self.layout.boots_from_beside:
            return place.number, place.start, place.size(self.size)
        assert place.neighbour_number is not None
        return place.neighbour_number, place.neighbour_start(self.size), NEIGHBOUR_SIZE


def size_for(
    layout: DiskLayout, memory: int, sector_size: int = BLOCK_SIZE, place: Placement = PLAIN
) -> int:
    """The size in bytes, in whole MiB, of a disk that can hold a dump of ``memory`` bytes."""
    extra = PARTITION_EXTRA + RESERVED_SECTORS * sector_size
    if layout.is_file_system:
        extra = FILE_SYSTEM_EXTRA + memory // FILE_SYSTEM_SHARE
    size = place.beside + memory + extra
    return -(-size // MIB) * MIB


def dump_disk(
    store: Store,
    progress: Progress,
    spec: DiskSpec,
    host_kernel: Callable[[], Kernel],
    kind: str = "disk",
) -> Built:
    """The prepared disk as ``disk.img``, sparse.

    ``host_kernel`` gives the kernel of the builder guest; it is called only if a guest must run.

    Raises UsageError for a size that cannot hold kernel and ramdisk, BuildError if zipl
    fails (ZiplRefused if it is under test), HostError if the kernel changes meanwhile.
    """
    ramdisk = None if spec.ramdisk is None else spec.ramdisk.path / IMAGE
    boot = BootFiles(spec.kernel.image, ramdisk, spec.parmline)
    _check_size(spec, boot)
    guest = builder_initramfs(store, progress, spec.zipl)
    maker = files_guest(store, progress) if spec.layout.boots_from_beside else None

    def build(directory: Path, log: Path) -> dict[str, Any]:
        disk = directory / DISK
        kernel = host_kernel()
        with progress.task(f"prepare a {spec.layout} {kind} with zipl"):
            tools = Tools(log, f"a {spec.layout} disk", FIXED)
            _make_table(disk, spec, tools)
            number, start, size = spec.boot_partition
            if spec.layout.is_file_system:
                make_file_system(
                    disk, spec.layout.of_boot_files, start, size, spec.sector_size, tools
                )
            if maker is not None:
                make_in_guest(maker, kernel, disk, spec.layout, spec.place.number, log)
            shown = Disk(disk, sector_size=spec.sector_size)
            layout = spec.layout.of_boot_files
            run_zipl(guest, kernel, shown, layout, boot, log, number, spec.zipl)
            _check_work(disk, spec)
        spec.kernel.require_unchanged()
        if spec.zipl is not None:
            return {"zipl": dict(spec.zipl.identity)}
        return {"zipl": _version_of("s390-tools", guest)}

    inputs = {
        "layout": str(spec.layout),
        "size": spec.size,
        "kernel": spec.kernel.sha256,
        "ramdisk": None if spec.ramdisk is None else spec.ramdisk.key,
        "parmline": spec.parmline,
        "builder": guest.key,  # zipl, and how it is called
    }
    if spec.sector_size != BLOCK_SIZE:
        inputs["sector_size"] = spec.sector_size
    if not spec.place.is_plain:
        inputs["partition"] = f"{spec.place.number} of {spec.place.table}"
    if maker is not None:
        inputs["maker"] = maker.key
    if spec.place.neighbour is not None:
        inputs["neighbour"] = str(spec.place.neighbour)
    return store.get(f"{kind}-{spec.layout}", inputs, build)


def check_boot_records(
    disk: Path, layout: DiskLayout, sector_size: int = BLOCK_SIZE, place: Placement = PLAIN
) -> None:
    """Raises BuildError unless ``disk`` has the boot records that zipl writes for ``layout``."""
    problem = _problem(disk, layout, sector_size, place)
    if problem is not None:
        raise BuildError(f"zipl left a {layout} disk that is not right: {problem}")


def _check_work(disk: Path, spec: DiskSpec) -> None:
    try:
        check_boot_records(disk, spec.layout, spec.sector_size, spec.place)
    except BuildError as error:
        if spec.zipl is None:
            raise
        raise ZiplRefused(f"{spec.zipl.name}: {error.message}") from error


def make_partition(disk: Path, size: int, sector_size: int = BLOCK_SIZE) -> None:
    """A new disk image with a DOS partition table and one partition over (nearly) all of it."""
    entry = _PARTITION_ENTRY.pack(
        0,
        _NO_CHS,
        _LINUX,
        _NO_CHS,
        PARTITION_START // sector_size,
        (size - PARTITION_START) // sector_size,
    )
    table = entry + bytes(3 * _PARTITION_ENTRY.size) + _SIGNATURE
    with disk.open("xb") as file:
        file.truncate(size)
        file.seek(_PARTITION_TABLE)
        file.write(table)


def _make_table(disk: Path, spec: DiskSpec, tools: Tools) -> None:
    if spec.place.is_plain:
        make_partition(disk, spec.size, spec.sector_size)
        return
    with disk.open("xb") as file:
        file.truncate(spec.size)
    spec.place.write(disk, spec.sector_size, tools)


def _check_size(spec: DiskSpec, boot: BootFiles) -> None:
    dump_system = sum(file.stat().st_size for file in (boot.kernel, boot.ramdisk) if file)
    sector, largest = spec.sector_size, _MOST_SECTORS * spec.sector_size
    if spec.layout.boots_from_beside and dump_system > NEIGHBOUR_SIZE - _EXT4_OWN:
        raise UsageError(
            f"kernel and ramdisk have {dump_system} bytes; on a {spec.layout} disk they can have "
            f"{NEIGHBOUR_SIZE - _EXT4_OWN}",
            hint="choose layout ext4, or a smaller ramdisk",
        )
    beside = dump_system if spec.layout.is_file_system else RESERVED_SECTORS * sector
    least = spec.place.beside + dump_system + beside
    least += -least % sector
    if not least <= spec.size <= largest or spec.size % sector:
        raise UsageError(
            f"a {spec.layout} dump disk cannot have {spec.size} bytes",
            hint=f"choose a multiple of {sector} from {least} to {largest}",
        )


def _problem(disk: Path, layout: DiskLayout, sector_size: int, expected: Placement) -> str | None:
    """What is wrong with the boot records; None if nothing is."""
    size = disk.stat().st_size
    with disk.open("rb") as file:
        mbr = c_zipl.scsi_mbr(file.read(len(c_zipl.scsi_mbr)))
        if mbr.magic != MAGIC:
            return "no zIPL boot record"
        table = mbr.program_table_pointer.blockno * sector_size
        if not expected.start <= table < size:
            return f"the program table is said to be at byte {table:#x}"
        file.seek(table)
        if file.read(len(MAGIC)) != MAGIC:
            return f"no program table at byte {table:#x}"
        is_dump = mbr.boot_info_magic == MAGIC and mbr.bp_type == BOOT_INFO_DUMP
        if layout.is_file_system:
            return "it is marked as a dump partition" if is_dump else None
        if not is_dump or mbr.dev_type != BOOT_INFO_SCSI:
            return "the boot record is not that of a SCSI dump partition"
        if not expected.start <= mbr.sb_off <= size - DUMP_SB_SIZE:
            return f"the dump superblock is said to be at byte {mbr.sb_off:#x}"
        file.seek(mbr.sb_off)
        superblock = c_zipl.scsi_dump_sb(file.read(DUMP_SB_SIZE))
    if superblock.magic != DUMP_SB_MAGIC:
        return f"no dump superblock at byte {mbr.sb_off:#x}"
    place = (superblock.part_start, superblock.part_size)
    if place != (expected.start, expected.size(size)):
        return f"the superblock's partition has start and size {place}"
    return None


def _version_of(package: str, initramfs: Built) -> str:
    packages = initramfs.manifest["packages"]
    return next(str(entry["version"]) for entry in packages if entry["name"] == package)
