"""Dump files on an ext2/3/4 partition, as zfcpdump 1 and 2 wrote them."""

from __future__ import annotations

from pathlib import Path

from harness.dump.content import File
from harness.dump.disk.ext import FileSystem
from harness.dump.disk.partition_table import partition_extent
from harness.dump.disk.sparse_file import copy_content
from harness.errors import EvidenceError
from harness.evidence.collected import Collected
from harness.evidence.names import DUMP
from harness.progress import Progress


def collect_file(
    disk: Path, partition: int, into: Path, progress: Progress, directory: str = "/"
) -> Collected:
    """Copy the newest dump.N of an ext partition to ``into``/dump, zero pages as holes.

    Newest is the one modified last; the highest number decides if the clock does not. A
    partition table or a file system that is damaged is one more thing to be found, in debugfs'
    own words. Raises HostError if debugfs is missing or ``into`` lacks space.
    """
    with File.open(disk) as image:
        image.name = disk.name  # what is found is kept with the evidence, wherever that lies
        try:
            return _collect_newest(image, partition, into, progress, directory)
        except EvidenceError as error:  # they were sound before the dump
            return Collected(None, error.message)


def _collect_newest(
    image: File, partition: int, into: Path, progress: Progress, directory: str
) -> Collected:
    start, size = partition_extent(image, partition)
    file_system = FileSystem(image, start, size)
    files = file_system.dumps(directory)
    if not files:
        return Collected(None, f"no file dump.N in {directory} of partition {partition}")
    newest = files[-1]
    copy_content(file_system.content(newest), into / DUMP, progress)
    return Collected(newest.size, f"{newest.path}, the newest of {len(files)}")
