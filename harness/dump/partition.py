"""Dumps on a raw partition, as zfcpdump 3 writes them on a disk prepared by ``zipl -d``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from harness import sparse
from harness.dump.content import Content, File
from harness.dump.detect import read_dump
from harness.dump.sparse_file import SparseFile
from harness.dump.superblock import read_superblock
from harness.errors import EvidenceError
from harness.progress import Progress
from harness.s390x.zipl import DUMP_SB_MAGIC

DUMP, SUPERBLOCK, DISK = "dump.elf", "superblock.bin", "disk.json"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Collected:
    """``dump`` is None if there was nothing to take; ``note`` says what was taken, and why so."""

    dump: Path | None
    size: int
    note: str


def collect_partition(disk: Path, into: Path, progress: Progress) -> Collected:
    """Copy the dump out of the disk image to ``into``/dump.elf.

    The superblock goes beside it (superblock.bin), and where it was (disk.json, in bytes).

    With an ELF header the dump is as long as its program headers say, otherwise as the
    superblock allows; never longer than the disk. Holes and zero pages become holes. Raises
    EvidenceError if the disk is no dump disk, HostError if ``into`` lacks space.
    """
    found = read_superblock(disk)
    superblock = found.superblock
    with SparseFile.create(into / SUPERBLOCK, len(found.block)) as file:
        file.write(0, found.block)
    where = {"size": disk.stat().st_size, "superblock_offset": found.offset}
    (into / DISK).write_text(json.dumps(where, indent=1) + "\n")
    if superblock.magic != DUMP_SB_MAGIC:
        return Collected(None, 0, f"the superblock's magic is {superblock.magic:#x}")
    with disk.open("rb") as image:
        fd, start = image.fileno(), superblock.dump_start
        room = min(superblock.dump_size, os.fstat(fd).st_size - start)
        if room <= 0:
            return Collected(None, 0, f"the superblock puts the dump at {start:#x}, off the disk")
        with File.open(disk) as content:
            size, note = _dump_length(content.part(start, room), room)
        with (
            progress.task("copy it out of the disk image", size, "B") as task,
            SparseFile.create(into / DUMP, size) as target,
        ):
            for offset, length in sparse.data_extents(fd, start, start + size):
                for at in range(offset, offset + length, CHUNK):
                    target.write(at - start, os.pread(fd, min(CHUNK, offset + length - at), at))
                    task.update(at - start)
            task.update(size)
    return Collected(into / DUMP, size, note)


def _dump_length(content: Content, room: int) -> tuple[int, str]:
    """Bytes to take, and why so many."""
    try:
        length = read_dump(content).length
    except EvidenceError as error:
        return room, f"all that the superblock allows, for there is no complete dump: {error}"
    if length > room:
        return room, f"the dump's headers describe {length} bytes, the partition has only {room}"
    return length, "as long as the dump's headers say"
