"""Take the dump out of a dump disk's image.

zfcpdump 3 writes it to a raw partition that ``zipl -d`` prepared, zfcpdump 1 and 2 wrote files on
an ext2/3/4 partition. So does ngdump, whose ngdump.meta names the file.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.dump.byte_source import ByteSource, File
from harness.dump.detect import read_dump
from harness.dump.disk.ext_files import ExtFile, FileSystem
from harness.dump.disk.ngdump import META, Meta, find_named, parse_meta
from harness.dump.disk.partition import Partition
from harness.dump.disk.partition_table import partition_at, partition_numbered
from harness.dump.disk.zipl_superblock import superblock_of_disk
from harness.dump.given_disk.earlier import PATTERN, end_of_new
from harness.dump.sparse_writer import SparseFile, copy_content
from harness.errors import EvidenceError
from harness.evidence.collected import Collected
from harness.evidence.names import DUMP, SUPERBLOCK
from harness.progress import Progress
from harness.s390x.zipl import DUMP_SB_MAGIC


def collect_partition(disk: Path, into: Path, progress: Progress) -> Collected:
    """Copy the dump out of the disk image to ``into``/dump.

    The superblock goes beside it (superblock.bin).

    A dump in a known format has the length in its headers; any other has the length that the
    superblock allows. It is never longer than the disk. Holes and zero pages become holes. If the
    disk is no longer a dump disk, that is recorded, too. Raises HostError if ``into`` lacks space.
    """
    with File.open(disk) as image:
        image.name = disk.name  # what is found is kept with the evidence, wherever that lies
        return _collect_raw(image, into, progress)


def _collect_raw(disk: ByteSource, into: Path, progress: Progress) -> Collected:
    try:
        found = superblock_of_disk(disk)
    except EvidenceError as error:  # it was a dump disk before the dump
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
    if disk.upto(superblock.dump_start, len(PATTERN)) == PATTERN:
        what = "the room for the dump begins with what was there before the run"
        return Collected(None, what, at_byte)
    size, note = _dump_length(disk.part(superblock.dump_start, room), room)
    if not size:
        return Collected(None, note, at_byte)
    copy_content(disk.part(superblock.dump_start, size), into / DUMP, progress)
    named = partition_at(disk, superblock.part_start, superblock.part_size)
    where = f"on {named[0].place}, " if named else ""
    return Collected(size, f"{where}{note}", at_byte)


def _dump_length(content: ByteSource, room: int) -> tuple[int, str]:
    """The number of bytes to copy, and the reason."""
    try:
        length = read_dump(content).length
    except EvidenceError as error:
        end = end_of_new(content)
        if not end:
            return 0, "the room for the dump has nothing but what was there before the run"
        what = "that the superblock allows" if end == room else "before what was there already"
        return end, f"all {what}, for there is no complete dump: {error}"
    if length > room:
        return room, f"the dump's headers describe {length} bytes, the partition has only {room}"
    return length, "as long as the dump's headers say"


def collect_file(
    disk: Path,
    partition: int,
    into: Path,
    progress: Progress,
    directory: str = "/",
    sector_size: int | None = None,
    earlier: Collection[ExtFile] = (),
) -> Collected:
    """Copy the dump on an ext partition to ``into``/dump, zero pages as holes.

    It is the file that a new ngdump.meta names, else the newest dump.N in ``directory``.

    The partition has the number that Linux gives it. ``sector_size`` in bytes is what the partition
    table counts in; None to find it out. A file that is unchanged since before the run, as
    ``earlier`` tells, is no dump of it.

    Newest is the one modified last; the highest number decides if the clock does not. A
    partition table or a file system that is damaged is one more thing to be found, in debugfs'
    own words. Raises HostError if debugfs is missing or ``into`` lacks space.
    """
    with File.open(disk) as image:
        image.name = disk.name  # what is found is kept with the evidence, wherever that lies
        try:
            place = partition_numbered(image, partition, sector_size)
            return _collect_newest(image, place, into, progress, directory, earlier)
        except EvidenceError as error:  # they were sound before the dump
            return Collected(None, error.message)


def _collect_newest(
    image: File,
    partition: Partition,
    into: Path,
    progress: Progress,
    directory: str,
    earlier: Collection[ExtFile],
) -> Collected:
    file_system = FileSystem(image, partition.start, partition.size)
    meta = file_system.find(META)
    told = None
    if meta is not None and meta not in earlier:
        told = parse_meta(file_system.content(meta))
        if told.file is not None:
            return _collect_named(file_system, told, partition, into, progress, earlier)
    there = file_system.dumps(directory)
    files = [file for file in there if file not in earlier]
    if not files:
        where = f"{directory} of partition {partition.number}"
        what = f"no file dump.N in {where}"
        if there:
            what = f"no new file dump.N in {where}: {len(there)} are from before the run"
        if meta is not None:
            what += f"; {META} {'is from before the run' if told is None else 'names no dump'}"
        return Collected(None, what)
    newest = files[-1]
    copy_content(file_system.content(newest), into / DUMP, progress)
    note = f"{newest.path} on {partition.place}, the newest of {len(files)}"
    return Collected(newest.size, note)


def _collect_named(
    file_system: FileSystem,
    meta: Meta,
    partition: Partition,
    into: Path,
    progress: Progress,
    earlier: Collection[ExtFile],
) -> Collected:
    """Copy the file that ngdump.meta names; its checksum is not compared here."""
    file = find_named(file_system, meta)
    named = f"{META} of partition {partition.number} names {meta.file}"
    if file is None:
        return Collected(None, f"{named}, which is not there")
    if file in earlier:
        return Collected(None, f"{named}, which is from before the run")
    copy_content(file_system.content(file), into / DUMP, progress)
    note = f"{file.path} on {partition.place}, which {META} names"
    return Collected(file.size, note, sha256sum=meta.sha256sum)
