"""A disk of a machine, and QEMU's options for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from harness.s390x.wiring import DUMP_LUN, SYSTEM_LUN
from harness.s390x.zipl import BLOCK_SIZE

FORMAT = "raw"  # of every image, so that its blocks are where the guest has them


class Operation(StrEnum):
    """What a machine does with a disk."""

    READ = "read"
    WRITE = "write"
    FLUSH = "flush"


@dataclass(frozen=True)
class DiskError:
    """An error that the guest gets for an ``operation`` that touches the byte ``offset``.

    ``number`` is the host's errno for it. ``offset`` is a whole number of 512-byte blocks; None: at
    each such operation. ``once``: only at the first.
    """

    operation: Operation
    number: int
    offset: int | None = None
    once: bool = False


@dataclass(frozen=True)
class Disk:
    """A raw disk image. ``boot`` makes it the one that is IPLed; ``read_only`` protects it.

    ``sector_size`` is in bytes. QEMU rounds an image down to whole sectors. The guest gets
    ``errors``. Without them the machine stops if the host itself cannot read or write; with them
    such an error goes to the guest, too, and QEMU tells of it.
    ``rate``: bytes per second that it reads and writes; 0: as fast as it can. ``log``: a new file
    for a record of all writes (QEMU ``block/blklogwrites.c``). ``holes``: zeros that the guest
    writes become holes of the image, unless there are errors or a log.
    """

    path: Path
    lun: int = 0
    boot: bool = False
    read_only: bool = False
    sector_size: int = BLOCK_SIZE
    errors: tuple[DiskError, ...] = ()
    rate: int = 0
    log: Path | None = None
    holes: bool = False

    @classmethod
    def for_dump(cls, path: Path, sector_size: int = BLOCK_SIZE) -> Self:
        """The disk that a dump system is loaded from, and writes to."""
        return cls(path, lun=DUMP_LUN, boot=True, sector_size=sector_size, holes=True)

    @classmethod
    def of_system(cls, path: Path) -> Self:
        """The disk that the system which crashes is loaded from."""
        return cls(path, lun=SYSTEM_LUN, boot=True)

    @property
    def device(self) -> str:
        """QEMU's name of it, in events, too."""
        return f"disk{self.lun}"

    @property
    def attached(self) -> str:
        """QEMU's name of the SCSI device that the disk is."""
        return f"scsi{self.lun}"

    def options(self) -> list[str]:
        """QEMU's options; the disk hangs on the HBA ``hba``, which another option makes.

        Source: QEMU 7.2 qapi/block-core.json, BlockdevOptions; qemu-options.hx, -drive.
        """
        file: Mapping[str, object] = {"driver": "file", "filename": self.path}
        if self.errors:
            file = {"driver": "blkdebug", "image": file, "inject-error": _injected(self.errors)}
        if self.log is not None:
            log = {"driver": "file", "filename": self.log}
            file = {
                "driver": "blklogwrites",
                "file": file,
                "log": log,
                "log-super-update-interval": 1,  # the end of QEMU does not update it
            }
        flushes = any(error.operation is Operation.FLUSH for error in self.errors)
        drive: dict[str, object] = {
            "if": "none",
            "id": self.device,
            "file": file,
            "format": FORMAT,
            # each stop of the VM flushes the disk otherwise
            "cache": "writeback" if flushes else "unsafe",
            # the guest must not see errors of the host: the machine stops, and QMP tells why
            "werror": "report" if self.errors else "stop",
            "rerror": "report" if self.errors else "stop",
        }
        if self.holes and not self.errors and self.log is None:
            drive["discard"] = drive["detect-zeroes"] = "unmap"
        if self.rate:
            drive["throttling.bps-total"] = self.rate
        device = {
            "id": self.attached,
            "drive": self.device,
            "bus": "hba.0",
            "channel": 0,
            "scsi-id": 0,
            "lun": self.lun,
        }
        if self.boot:
            device["bootindex"] = 1
        if self.read_only:
            drive["read-only"] = "on"
        if self.sector_size != BLOCK_SIZE:
            device["logical_block_size"] = device["physical_block_size"] = self.sector_size
        return [
            *("-drive", ",".join(_dotted(drive))),
            *("-device", ",".join(["scsi-hd", *_dotted(device)])),
        ]


def _injected(errors: tuple[DiskError, ...]) -> Mapping[str, object]:
    """QEMU 7.2 qapi/block-core.json, BlkdebugInjectErrorOptions, by number."""
    return {
        str(number): {
            "event": "none",  # at each operation of this type
            "iotype": error.operation.value,
            "errno": error.number,
            **({} if error.offset is None else {"sector": error.offset // BLOCK_SIZE}),
            **({"once": "on"} if error.once else {}),
        }
        for number, error in enumerate(errors)
    }


def _dotted(options: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """``{"file": {"driver": "x"}}`` -> ``file.driver=x``; a comma in a value is doubled.

    Nothing else has a special meaning, such as a colon in a path.
    """
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={str(value).replace(',', ',,')}"
