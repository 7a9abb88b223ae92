"""A dump disk that fails on purpose: how it is made, and how often it failed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.dump.byte_source import File
from harness.dump.disk.zipl_superblock import superblock_of_disk
from harness.dump.given_disk.boot_map import Component, read_boot_map
from harness.errors import EvidenceError, HarnessError
from harness.faults.fault import Fault, Place
from harness.faults.table import POWER_CUT
from harness.host.fault import NO_SPACE
from harness.machine.played_machine import KERNEL_ENTRY
from harness.qemu.disk import Disk, DiskError, Operation
from harness.qemu.monitor import BLOCK_IO_ERROR, Event
from harness.s390x.zipl import BLOCK_SIZE

_ERRORS: Mapping[str, tuple[Operation, int, bool]] = {
    "disk-write-error": (Operation.WRITE, errno.EIO, False),
    "disk-write-error-once": (Operation.WRITE, errno.EIO, True),
    "disk-read-error": (Operation.READ, errno.EIO, False),
    "disk-no-space": (Operation.WRITE, NO_SPACE, False),
    "disk-flush-error": (Operation.FLUSH, errno.EIO, False),
}
LEAST_RAMDISK = 64 << 10  # bytes
_BY_ITSELF = ("disk-read-only", "disk-slow")  # happens as soon as the disk is used


class DiskFaults:
    """The faults of one dump disk. ``played`` counts by fault how often it happened.

    It counts the errors that QEMU reports (``on_event``); a rotten place counts once.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = tuple(fault for fault in faults if fault.kind.name in KINDS)
        self.played = {str(fault): 0 for fault in self._faults}
        self.foreign: str | None = None  # an error that nobody asked for: it is the host's

    def spoil(self, disk: Disk) -> Disk:
        """Damage the image before the load; returns the disk with its errors.

        Raises HarnessError if the place of a fault is not on the disk.
        """
        errors = []
        for fault in self._faults:
            name, offset = fault.kind.name, fault.at(Place.OFFSET)
            if offset is not None and offset >= disk.path.stat().st_size:
                raise HarnessError(
                    f"the fault {fault} cannot happen: the dump disk has "
                    f"{disk.path.stat().st_size} bytes",
                    hint="choose a lower offset",
                )
            if name in _ERRORS:
                operation, number, once = _ERRORS[name]
                errors.append(DiskError(operation, number, offset, once))
            elif name in _ROT:
                _damage(disk, _ROT[name])
                self.played[str(fault)] = 1
            elif name == "wrong-disk":
                _empty(disk.path)
                self.played[str(fault)] = 1
            elif name in _BY_ITSELF:
                disk = replace(
                    disk,
                    read_only=disk.read_only or name == "disk-read-only",
                    rate=fault.at(Place.RATE) or disk.rate,
                )
                self.played[str(fault)] = 1
        return replace(disk, errors=tuple(errors))

    @property
    def cut(self) -> Fault | None:
        """The power cut among them."""
        return next((each for each in self._faults if each.kind is POWER_CUT), None)

    def on_event(self, event: Event) -> None:
        """Take an event of QEMU; called in another thread."""
        if event.name != BLOCK_IO_ERROR or event.data.get("action") != "report":
            return
        ours = [fault for fault in self._faults if _told_by(event, fault)]
        for fault in ours:
            self.played[str(fault)] += 1
        if not ours and self.foreign is None:
            self.foreign = str(event.data.get("reason"))


def _told_by(event: Event, fault: Fault) -> bool:
    """Whether an error that QEMU reports can be that of ``fault``."""
    if fault.kind.name not in _ERRORS:
        return False
    operation, number, _ = _ERRORS[fault.kind.name]
    # QEMU calls a flush a write here (hw/scsi/scsi-disk.c, scsi_handle_rw_error)
    same = (event.data.get("operation") == "read") is (operation is Operation.READ)
    # the errno itself is not told, and "nospace" only of a disk that stops the machine
    return same and event.data.get("reason") == os.strerror(number)


def _damage(disk: Disk, places: Callable[[File, int], Iterator[int]]) -> None:
    """Invert the block at each of these places; raises HarnessError if there is none."""
    try:
        with File.open(disk.path) as image:
            found = list(places(image, disk.sector_size))
    except EvidenceError as error:
        raise HarnessError(f"the dump disk has nothing to damage: {error.message}") from error
    with disk.path.open("r+b") as file:
        for at in found:
            block = os.pread(file.fileno(), BLOCK_SIZE, at)
            os.pwrite(file.fileno(), bytes(byte ^ 0xFF for byte in block), at)


def _boot_record(_image: File, _sector: int) -> Iterator[int]:
    yield 0


def _superblock(image: File, _sector: int) -> Iterator[int]:
    yield superblock_of_disk(image).offset


def _kernel(image: File, sector: int) -> Iterator[int]:
    components = read_boot_map(image, sector).components
    yield _middle([each for each in components if each.address == KERNEL_ENTRY], "kernel")


def _ramdisk(image: File, sector: int) -> Iterator[int]:
    components = read_boot_map(image, sector).components
    others = [each for each in components if each.address > KERNEL_ENTRY]
    large = [each for each in others if _size(each) >= LEAST_RAMDISK]  # the parmline is not
    yield _middle(sorted(large, key=_size), "ramdisk")


def _size(component: Component) -> int:
    return sum(piece.size for piece in component.pieces)


def _middle(found: Sequence[Component], what: str) -> int:
    """The middle of the last one; raises HarnessError if there is none."""
    if not found:
        raise HarnessError(f"the dump disk has no {what} to damage")
    component = found[-1]
    rest = _size(component) // 2
    for piece in component.pieces:
        if rest < piece.size:
            return piece.start + rest // BLOCK_SIZE * BLOCK_SIZE
        rest -= piece.size
    raise HarnessError(f"the {what} has no block on the dump disk")


_ROT: Mapping[str, Callable[[File, int], Iterator[int]]] = {
    "rot-boot-record": _boot_record,
    "rot-superblock": _superblock,
    "rot-kernel": _kernel,
    "rot-ramdisk": _ramdisk,
}
# with which a disk may not be loaded at all
PREVENT_LOAD = frozenset({*_ROT, "wrong-disk", "disk-read-error"})
KINDS = frozenset({*_ERRORS, *_BY_ITSELF, *_ROT, "wrong-disk", POWER_CUT.name})


def _empty(path: Path) -> None:
    """Make the image at ``path`` a disk on which nothing was ever written."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(0)
        file.truncate(size)
