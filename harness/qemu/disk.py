"""A disk of a machine, and QEMU's options for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.s390x.wiring import DUMP_LUN, SYSTEM_LUN
from harness.s390x.zipl import BLOCK_SIZE

FORMAT = "raw"  # of every image, so that its blocks are where the guest has them


@dataclass(frozen=True)
class Disk:
    """A raw disk image. ``boot`` makes it the one that is IPLed; ``read_only`` protects it.

    ``sector_size`` is in bytes. QEMU rounds an image down to whole sectors.
    """

    path: Path
    lun: int = 0
    boot: bool = False
    read_only: bool = False
    sector_size: int = BLOCK_SIZE

    @classmethod
    def for_dump(cls, path: Path, sector_size: int = BLOCK_SIZE) -> Self:
        """The disk that a dump system is loaded from, and writes to."""
        return cls(path, lun=DUMP_LUN, boot=True, sector_size=sector_size)

    @classmethod
    def of_system(cls, path: Path) -> Self:
        """The disk that the system which crashes is loaded from."""
        return cls(path, lun=SYSTEM_LUN, boot=True)

    @property
    def device(self) -> str:
        """QEMU's name of it, in events, too."""
        return f"disk{self.lun}"

    def options(self) -> list[str]:
        """QEMU's options; the disk hangs on the HBA ``hba``, which another option makes.

        Source: QEMU 7.2 qapi/block-core.json, BlockdevOptions; qemu-options.hx, -drive.
        """
        # QEMU's block nodes are nested: a node around the file, such as blkdebug, injects errors
        file: Mapping[str, object] = {"driver": "file", "filename": self.path}
        drive = {
            "if": "none",
            "id": self.device,
            "file": file,
            "format": FORMAT,
            "cache": "unsafe",  # each stop of the VM would flush the disk otherwise
            # the guest must not see errors of the host: the machine stops, and QMP tells why
            "werror": "stop",
            "rerror": "stop",
        }
        device = {
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


def _dotted(options: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """``{"file": {"driver": "x"}}`` -> ``file.driver=x``; a comma in a value is doubled.

    Nothing else has a special meaning, such as a colon in a path.
    """
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={str(value).replace(',', ',,')}"
