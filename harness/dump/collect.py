"""Dumps on a raw partition, as zfcpdump 3 writes them on a disk prepared by ``zipl -d``."""

from __future__ import annotations

from pathlib import Path

from harness.dump.content import Content, File
from harness.dump.detect import read_dump
from harness.dump.disk.sparse_file import SparseFile, copy_content
from harness.dump.disk.superblock import superblock_of_disk
from harness.errors import EvidenceError
from harness.evidence.collected import Collected
from harness.evidence.names import DUMP, SUPERBLOCK
from harness.progress import Progress
from harness.s390x.zipl import DUMP_SB_MAGIC


def collect_partition(disk: Path, into: Path, progress: Progress) -> Collected:
    """Copy the dump out of the disk image to ``into``/dump.

    The superblock goes beside it (superblock.bin).

    A dump of a format that is known is as long as its own headers say, otherwise as the
    superblock allows; never longer than the disk. Holes and zero pages become holes. A disk that
    is no dump disk any more is one more thing to be found. Raises HostError if ``into`` lacks
    space.
    """
    with File.open(disk) as image:
        image.name = disk.name  # what is found is kept with the evidence, wherever that lies
        return _collect(image, into, progress)


def _collect(disk: Content, into: Path, progress: Progress) -> Collected:
    try:
        found = superblock_of_disk(disk)
    except EvidenceError as error:  # it was one before the dump
        return Collected(None, error.message)
    superblock, at_byte = found.superblock, found.offset
    with SparseFile.create(into / SUPERBLOCK, len(found.block)) as file:
        file.write(0, found.block)
    if superblock.magic != DUMP_SB_MAGIC:
        return Collected(None, f"the superblock's magic is {superblock.magic:#x}", at_byte)
    room = min(superblock.dump_size, disk.size - superblock.dump_start)
    if room <= 0:
        what = f"the superblock puts the dump at {superblock.dump_start:#x}, off the disk"
        return Collected(None, what, at_byte)
    size, note = _dump_length(disk.part(superblock.dump_start, room), room)
    copy_content(disk.part(superblock.dump_start, size), into / DUMP, progress)
    return Collected(size, note, at_byte)


def _dump_length(content: Content, room: int) -> tuple[int, str]:
    """Bytes to take, and why so many."""
    try:
        length = read_dump(content).length
    except EvidenceError as error:
        return room, f"all that the superblock allows, for there is no complete dump: {error}"
    if length > room:
        return room, f"the dump's headers describe {length} bytes, the partition has only {room}"
    return length, "as long as the dump's headers say"
