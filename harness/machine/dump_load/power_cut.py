"""What a dump disk has on it after the power was cut, from a record of all that was written to it.

QEMU records the writes (``blklogwrites``, QEMU ``block/blklogwrites.c``, in the format of Linux
``Documentation/admin-guide/device-mapper/log-writes.rst``), and traces the guest's SCSI commands.
The flushes are taken from the trace: QEMU itself flushes a disk whenever it stops the machine,
which a disk in the field does not do.

What the guest wrote before a flush is on the disk. Of the writes behind the last flush nobody
knows: a disk may have stored each of them, a part of it, or nothing, in any order.
"""

from __future__ import annotations

import os
import random
import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.evidence.names import DISK_BEFORE, DISK_COMMANDS, DISK_WRITES
from harness.files import sparse
from harness.qemu.disk import Disk
from harness.qemu.spec import Trace
from harness.s390x.wiring import DUMP_LUN
from harness.s390x.zipl import BLOCK_SIZE

_TRACED = ("scsi_req_parsed",)
_SUPER = struct.Struct("<QQQI")  # struct log_write_super: magic, version, nr_entries, sectorsize
_ENTRY = struct.Struct("<QQQQ")  # struct log_write_entry: sector, nr_sectors, flags, data_len
_MAGIC, _VERSION = 0x6A736677736872, 1
_DISCARD = 1 << 2
# hw/scsi/trace-events; SBC-3: WRITE (6), (10), (12), (16); SYNCHRONIZE CACHE (10), (16)
_PARSED = re.compile(
    r"scsi_req_parsed target \d+ lun (\d+) tag \S+ command (\d+) dir \d+ length (\d+)"
)
_WRITES, _FLUSHES = frozenset({0x0A, 0x2A, 0xAA, 0x8A}), frozenset({0x35, 0x91})


@dataclass(frozen=True)
class Write:
    """``size`` bytes for ``offset`` of the disk, which are at ``place`` of the log's file."""

    offset: int
    size: int
    place: int


@dataclass(frozen=True)
class Record:
    """All writes in their order, and how many there were at each flush of the guest."""

    log: Path
    writes: tuple[Write, ...]
    flushes: tuple[int, ...]

    @classmethod
    def read(cls, log: Path, trace: Path, lun: int) -> Record:
        """The record of a machine that has ended; raises HarnessError if it is not whole."""
        writes = tuple(_writes(log))
        return cls(log, writes, tuple(_flushes(trace, lun, writes)))

    def flushed(self, cut: int) -> int:
        """How many of the first ``cut`` writes are certainly on the disk."""
        found = bisect_right(self.flushes, cut)
        return self.flushes[found - 1] if found else 0

    def leave(self, before: Path, image: Path, cut: int, seed: int) -> None:
        """Make ``image`` what is left of the disk ``before`` after a cut behind ``cut`` writes.

        Of what was not flushed, ``seed`` chooses what is stored; 0: nothing. Raises HarnessError if
        there were fewer writes.
        """
        if cut > len(self.writes):
            raise HarnessError(
                f"the fault power-cut:write={cut} did not happen: the dump system made "
                f"{len(self.writes)} writes",
                hint="choose a lower number",
            )
        image.unlink(missing_ok=True)
        sparse.copy(before, image)
        certain = self.flushed(cut)
        chance = random.Random(seed)  # noqa: S311 - it must give the same each time
        with self.log.open("rb") as log, image.open("r+b") as disk:
            for write in self.writes[:certain]:
                _store(log.fileno(), disk.fileno(), write, write.size)
            for write in self.writes[certain:cut] if seed else ():
                blocks = chance.choice((0, write.size, chance.randrange(write.size)))
                _store(log.fileno(), disk.fileno(), write, blocks // BLOCK_SIZE * BLOCK_SIZE)


class Recorder:
    """Records what one load writes to ``disk``, in files beside it, to cut it afterwards."""

    def __init__(self, disk: Disk) -> None:
        self.files = RecordFiles(disk.path.parent)
        sparse.copy(disk.path, self.files.before)
        self.files.log.touch()
        self._lun = disk.lun
        self.disk = replace(disk, log=self.files.log)
        self.trace = Trace(_TRACED, self.files.trace)

    def cut(self, write: int, seed: int) -> None:
        """Leave on the disk what is there after a cut behind ``write`` writes.

        Raises HarnessError if there were fewer.
        """
        self.files.record(self._lun).leave(self.files.before, self.disk.path, write, seed)


@dataclass(frozen=True)
class RecordFiles:
    """The files of a record in ``directory``."""

    directory: Path

    @property
    def before(self) -> Path:
        """The disk before the load."""
        return self.directory / DISK_BEFORE

    @property
    def log(self) -> Path:
        return self.directory / DISK_WRITES

    @property
    def trace(self) -> Path:
        return self.directory / DISK_COMMANDS

    def record(self, lun: int = DUMP_LUN) -> Record:
        """Raises HarnessError if it is not whole."""
        return Record.read(self.log, self.trace, lun)


def _store(log: int, disk: int, write: Write, size: int) -> None:
    data = os.pread(log, size, write.place)
    if len(data) != size:
        raise HarnessError(f"the record of the dump disk's writes ends before {write.place + size}")
    os.pwrite(disk, data, write.offset)


def _writes(log: Path) -> Iterator[Write]:
    with log.open("rb") as file:
        head = file.read(_SUPER.size)
        if len(head) < _SUPER.size:
            raise HarnessError(f"{log}: no record of writes")
        magic, version, entries, sector = _SUPER.unpack(head)
        if (magic, version) != (_MAGIC, _VERSION) or sector < BLOCK_SIZE:
            raise HarnessError(f"{log}: no record of writes, but {magic:#x}, version {version}")
        at = sector  # the first sector is the head's
        for _ in range(entries):
            file.seek(at)
            entry = file.read(_ENTRY.size)
            if len(entry) < _ENTRY.size:
                raise HarnessError(f"{log}: the record of writes ends in its midst")
            start, count, flags, _ = _ENTRY.unpack(entry)  # QEMU leaves data_len at 0
            at += sector
            if flags & _DISCARD or not count:  # without data: a discard, or a flush
                continue
            yield Write(start * sector, count * sector, at)
            at += count * sector


def _flushes(trace: Path, lun: int, writes: Sequence[Write]) -> Iterator[int]:
    """From how much the guest had written at each flush, how many writes that were."""
    ends, total = [], 0
    for write in writes:
        total += write.size
        ends.append(total)
    written = 0
    with trace.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            found = _PARSED.search(line)
            if found is None or int(found[1]) != lun:
                continue
            command = int(found[2])
            if command in _WRITES:
                written += int(found[3])
            elif command in _FLUSHES:
                yield bisect_right(ends, written)
    if written != total:
        raise HarnessError(
            f"the guest wrote {written} bytes to the dump disk, QEMU recorded {total}"
        )
