"""Dump files on an ext2/3/4 partition, as zfcpdump 1 and 2 wrote them."""

from __future__ import annotations

from pathlib import Path

from harness.dump.content import File
from harness.dump.ext import FileSystem
from harness.dump.partition import CHUNK, DUMP, Collected
from harness.dump.partition_table import partition_extent
from harness.dump.sparse_file import SparseFile
from harness.progress import Progress


def collect_file(
    disk: Path, partition: int, into: Path, progress: Progress, directory: str = "/"
) -> Collected:
    """Copy the newest dump.N of an ext partition to ``into``/dump.elf, zero pages as holes.

    Newest is the one modified last; the highest number decides if the clock does not. Raises
    EvidenceError with debugfs' own words, HostError if debugfs is missing or ``into`` lacks
    space.
    """
    start, size = partition_extent(disk, partition)
    with File.open(disk) as image:
        file_system = FileSystem(image, start, size)
        files = file_system.dumps(directory)
        if not files:
            return Collected(None, 0, f"no file dump.N in {directory} of partition {partition}")
        newest = files[-1]
        with (
            progress.task("copy it out of the disk image", newest.size, "B") as task,
            SparseFile.create(into / DUMP, newest.size) as target,
        ):
            content = file_system.content(newest)
            for offset, length in content.data_extents():
                for at in range(offset, offset + length, CHUNK):
                    target.write(at, content.read(at, min(CHUNK, offset + length - at)))
                    task.update(at)
            task.update(newest.size)
    return Collected(into / DUMP, newest.size, f"{newest.path}, the newest of {len(files)}")
