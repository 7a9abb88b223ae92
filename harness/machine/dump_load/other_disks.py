"""Disks beside the dump disk, which nobody may change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from harness.closing import Closing
from harness.qemu.disk import Disk

SIZE = 1 << 20


class OtherDisks(Closing):
    """Images in ``directory`` for the disks with these LUNs, each with content of its own.

    They are removed in the end: what is left to say is whether they were changed.
    """

    def __init__(self, directory: Path, luns: Sequence[int]) -> None:
        self.disks = tuple(Disk(directory / f"other-{lun}.img", lun) for lun in luns)
        for disk in self.disks:
            disk.path.write_bytes(_content(disk.lun))

    def changed(self) -> tuple[int, ...]:
        """The LUNs of the disks that are not as they were."""
        return tuple(disk.lun for disk in self.disks if _digest(disk) != _right_digest(disk))

    def close(self) -> None:
        for disk in self.disks:
            disk.path.unlink(missing_ok=True)


def _digest(disk: Disk) -> bytes:
    with disk.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _right_digest(disk: Disk) -> bytes:
    return hashlib.sha256(_content(disk.lun)).digest()


def _content(lun: int) -> bytes:
    return hashlib.shake_128(str(lun).encode()).digest(SIZE)
