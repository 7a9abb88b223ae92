"""Dump disks: one partition on a raw SCSI disk image, prepared by the real zipl."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.build.builder import run_zipl
from harness.build.command import Tools
from harness.build.initramfs import IMAGE
from harness.build.kernel import Kernel
from harness.build.layout import DiskLayout
from harness.build.store import Built, Store
from harness.errors import BuildError, UsageError
from harness.progress import Progress
from harness.s390x.zipl import BLOCK_SIZE, MAGIC

DISK = "disk.img"

PARTITION_START = 1 << 20
# beside the dump: kernel, ramdisk, boot map, ELF headers; and, in a file system, its own tables
PARTITION_EXTRA = 64 << 20
FILE_SYSTEM_EXTRA = 64 << 20
FILE_SYSTEM_SHARE = 32  # of the size, as 1/n

# the same disk for the same inputs
UUID = "7a686172-6e65-7373-2064-756d70206469"
TIME = "0"

_PARTITION_ENTRY = struct.Struct("<B3sB3sII")  # status, CHS, type, CHS, first block, blocks
_PARTITION_TABLE = 0x1BE
_LINUX = 0x83
_NO_CHS = b"\xfe\xff\xff"
_SIGNATURE = b"\x55\xaa"


@dataclass(frozen=True)
class DiskSpec:
    """A disk of ``size`` bytes that loads ``kernel`` with ``ramdisk`` and ``parmline``."""

    layout: DiskLayout
    size: int
    kernel: Kernel
    ramdisk: Built
    parmline: str


def size_for(layout: DiskLayout, memory: int) -> int:
    """Bytes of a disk on which a dump of ``memory`` bytes fits."""
    if layout.is_file_system:
        return PARTITION_START + memory + memory // FILE_SYSTEM_SHARE + FILE_SYSTEM_EXTRA
    return PARTITION_START + memory + PARTITION_EXTRA


def dump_disk(store: Store, progress: Progress, spec: DiskSpec, host_kernel: Kernel) -> Built:
    """The prepared disk as ``disk.img``, sparse; ``host_kernel`` runs the builder guest.

    Raises UsageError for a size that cannot even hold kernel and ramdisk, BuildError if zipl
    fails.
    """
    needed = spec.kernel.image.stat().st_size + (spec.ramdisk.path / IMAGE).stat().st_size
    if spec.size < PARTITION_START + 2 * needed:
        raise UsageError(f"a disk of {spec.size} bytes has no room for a dump system")

    def build(directory: Path, log: Path) -> dict[str, Any]:
        disk, parmfile = directory / DISK, directory / "parmfile"
        parmfile.write_text(spec.parmline)
        with progress.task(f"prepare a {spec.layout} dump disk with zipl"):
            _partition(disk, spec.size)
            if spec.layout.is_file_system:
                _make_file_system(disk, spec, Tools(log, f"a {spec.layout} disk", _FIXED))
            run_zipl(
                store,
                progress,
                disk,
                spec.layout,
                host_kernel=host_kernel,
                kernel=spec.kernel,
                ramdisk=spec.ramdisk.path / IMAGE,
                parmfile=parmfile,
                log=log,
            )
        with disk.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BuildError(f"zipl left no boot record on the {spec.layout} disk")
        return {"zipl": _version_of("s390-tools", spec.ramdisk)}

    inputs = {
        "layout": str(spec.layout),
        "size": spec.size,
        "kernel": spec.kernel.sha256,
        "ramdisk": spec.ramdisk.key,
        "parmline": spec.parmline,
    }
    return store.get(f"disk-{spec.layout}", inputs, build)


_FIXED = {"E2FSPROGS_FAKE_TIME": TIME}


def _partition(disk: Path, size: int) -> None:
    """A DOS partition table with one partition over (nearly) all of the disk."""
    entry = _PARTITION_ENTRY.pack(
        0,
        _NO_CHS,
        _LINUX,
        _NO_CHS,
        PARTITION_START // BLOCK_SIZE,
        (size - PARTITION_START) // BLOCK_SIZE,
    )
    table = entry + bytes(3 * _PARTITION_ENTRY.size) + _SIGNATURE
    with disk.open("xb") as file:
        file.truncate(size)
        file.seek(_PARTITION_TABLE)
        file.write(table)


def _make_file_system(disk: Path, spec: DiskSpec, tools: Tools) -> None:
    options = (
        f"offset={PARTITION_START}",
        "root_owner=0:0",
        f"hash_seed={UUID}",
        "lazy_itable_init=1",
        "nodiscard",
    )
    kib = (spec.size - PARTITION_START) // 1024
    tools.run(
        [
            "mke2fs",
            *("-q", "-F"),
            *("-t", str(spec.layout)),
            *("-m", "0"),  # no blocks kept for root: the dump may have all
            *("-U", UUID),
            *("-E", ",".join(options)),
            str(disk),
            f"{kib}k",
        ]
    )


def _version_of(package: str, initramfs: Built) -> str:
    packages = initramfs.manifest["packages"]
    return next(str(entry["version"]) for entry in packages if entry["name"] == package)
