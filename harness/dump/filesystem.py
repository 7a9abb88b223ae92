"""Dump files on an ext2/3/4 partition, as zfcpdump 1 and 2 wrote them, read without root.

e2fsprogs' debugfs does the reading: it takes ``IMAGE?offset=BYTES`` for a file system within a
disk image (libext2fs ``unix_io``) and sends a file's content to its standard output.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.build.command import find_tool
from harness.dump.partition import CHUNK, DUMP, Collected
from harness.dump.sparse_file import SparseFile
from harness.errors import EvidenceError
from harness.progress import Progress

SECTOR = 512
_TABLE, _ENTRY, _PRIMARY = 446, 16, 4  # DOS partition table: offset, entry size, entries
_SIGNATURE = b"\x55\xaa"
_DUMP_NAME = re.compile(r"dump\.(\d+)")
_MTIME = re.compile(r"^ *mtime: 0x([0-9a-f]+)(?::([0-9a-f]+))?", re.MULTILINE)


@dataclass(frozen=True)
class DumpFile:
    """One dump.N; ``size`` in bytes, ``mtime`` seconds since 1970 by the dump system's clock."""

    name: str
    number: int
    size: int
    mtime: int


class FileSystem:
    """The ext file system at byte ``offset`` of the open image ``disk``."""

    def __init__(self, disk: IO[bytes], offset: int, name: Path) -> None:
        self._fd, self._name = disk.fileno(), name
        # by descriptor: debugfs would take a '?' in a path for the start of its options
        self._device = f"/proc/self/fd/{self._fd}?offset={offset}"

    def dumps(self, directory: str = "/") -> tuple[DumpFile, ...]:
        """Every dump.N in ``directory``, the newest last: by time, then by number."""
        found = []
        for line in self._request(f"ls -p {directory}").splitlines():
            fields = line.split("/")  # /inode/mode/uid/gid/name/size/
            if len(fields) == 8 and (match := _DUMP_NAME.fullmatch(fields[5])) and fields[6]:
                path = f"{directory.rstrip('/')}/{fields[5]}"
                found.append(DumpFile(path, int(match[1]), int(fields[6]), self._mtime(path)))
        return tuple(sorted(found, key=lambda file: (file.mtime, file.number)))

    @contextmanager
    def reading(self, path: str) -> Iterator[IO[bytes]]:
        """The content of a file, as a stream; raises EvidenceError if debugfs complains."""
        with self._start(f"cat {path}") as process:
            assert process.stdout is not None
            try:
                yield process.stdout
                _, errors = process.communicate()
            except BaseException:
                process.kill()
                raise
        self._check(errors)

    def _mtime(self, path: str) -> int:
        match = _MTIME.search(self._request(f"stat {path}"))
        return int(match[1], 16) if match else 0

    def _request(self, request: str) -> str:
        with self._start(request) as process:
            output, errors = process.communicate()
        self._check(errors)
        return output.decode(errors="replace")

    def _start(self, request: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [find_tool("debugfs"), "-R", request, self._device],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(self._fd,),
            env={**os.environ, "LC_ALL": "C"},
        )

    def _check(self, errors: bytes) -> None:
        # debugfs exits with 0 whatever happens: what it says is all there is to go by
        said = [line.strip() for line in errors.decode(errors="replace").splitlines()]
        complaints = [line for line in said if line and not re.match(r"debugfs \d", line)]
        if complaints:  # the first one is the cause, the others guess
            what = complaints[0].replace(self._device, "the partition")
            raise EvidenceError(f"{self._name}: {what}")


def partition_extent(disk: Path, number: int) -> tuple[int, int]:
    """(byte offset, size in bytes) of primary partition ``number``, counted from 1.

    Raises EvidenceError if the image has no DOS partition table or no such partition.
    """
    with disk.open("rb") as image:
        sector = image.read(SECTOR)
    if len(sector) < SECTOR or sector[-2:] != _SIGNATURE:
        raise EvidenceError(f"{disk}: offset 510: no DOS partition table")
    if not 1 <= number <= _PRIMARY:
        raise EvidenceError(f"{disk}: a DOS partition table has no primary partition {number}")
    # little-endian, unlike everything else on this disk: start and size in sectors
    start, size = struct.unpack_from("<2I", sector, _TABLE + (number - 1) * _ENTRY + 8)
    if size == 0:
        raise EvidenceError(f"{disk}: partition {number} is empty")
    return start * SECTOR, size * SECTOR


def collect_file(
    disk: Path, partition: int, into: Path, progress: Progress, directory: str = "/"
) -> Collected:
    """Copy the newest dump.N of an ext partition to ``into``/dump, zero pages as holes.

    Newest is the one modified last; the highest number decides if the clock does not. Raises
    EvidenceError with debugfs' own words, HostError if debugfs is missing or ``into`` lacks
    space.
    """
    offset, _ = partition_extent(disk, partition)
    with disk.open("rb") as image:
        file_system = FileSystem(image, offset, disk)
        files = file_system.dumps(directory)
        if not files:
            return Collected(None, 0, f"no file dump.N in {directory} of partition {partition}")
        newest = files[-1]
        with (
            progress.task("copy it out of the disk image", newest.size, "B") as task,
            SparseFile.create(into / DUMP, newest.size) as target,
        ):
            at = 0
            with file_system.reading(newest.name) as stream:
                while data := stream.read(CHUNK):
                    target.write(at, data)
                    at += len(data)
                    task.update(at)
            if at != newest.size:
                raise EvidenceError(f"{disk}: {newest.name}: {at} of {newest.size} bytes readable")
    return Collected(into / DUMP, newest.size, f"{newest.name}, the newest of {len(files)}")
