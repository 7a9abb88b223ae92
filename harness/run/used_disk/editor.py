"""Change an ext file system within a disk image, with e2fsprogs' debugfs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.dump.byte_source import File
from harness.dump.disk.debugfs import CpuTime, Debugfs
from harness.dump.disk.partition_table import partition_numbered
from harness.errors import HarnessError
from harness.evidence.known_files import KnownFile
from harness.files import sparse
from harness.images.command import Tools
from harness.images.ext import FIXED, make_file_system
from harness.run.used_disk.content import LINK, LINKED, Content
from harness.s390x.disk_layout import DiskLayout

CHECKED = (DiskLayout.EXT2, DiskLayout.EXT3, DiskLayout.EXT4)
E2FSCK_LOG = "e2fsck.log"
_E2FSCK_ENDS = range(8)  # e2fsck(8): sums of 1, 2 (repaired) and 4 (errors are left)
_ANSWER = 1 << 20  # bytes
_FREE = re.compile(r"^Free blocks: +(\d+)$", re.MULTILINE)
_BLOCK_SIZE = re.compile(r"^Block size: +(\d+)$", re.MULTILINE)


class Editor:
    """The file system on partition ``number`` of the image ``disk``, which is written to.

    What debugfs prints goes to ``log``. Nothing else may have the file system in use.
    """

    def __init__(self, disk: Path, number: int, sector_size: int, log: Path) -> None:
        self.disk, self._tools = disk, Tools(log, "a used dump disk", FIXED)
        self._sector_size = sector_size
        with File.open(disk) as image:
            place = partition_numbered(image, number, sector_size)
        self.start, self._size = place.start, place.size

    def make_file_system(self) -> None:
        """Make an ext4 file system, where none is needed to load the dump system."""
        make_file_system(
            self.disk, DiskLayout.EXT4, self.start, self._size, self._sector_size, self._tools
        )

    def change(self, requests: Sequence[str]) -> None:
        """Carry out requests of debugfs; it does not tell whether they succeeded."""
        # a path may have a '?', which begins the options of debugfs
        target = f"{self.disk.name}?offset={self.start}"
        script = "".join(f"{request}\n" for request in requests)
        argv = ["debugfs", "-w", "-f", "-", target]
        self._tools.run(argv, cwd=self.disk.parent, stdin=script)

    def check(self) -> None:
        """Let e2fsck replay the journal and repair what is damaged, as before the next mount.

        It does not tell whether it could: who reads the file system finds out.
        """
        # e2fsck 1.47 loses the offset when it opens the file system again behind the journal
        with TemporaryDirectory(prefix="partition-", dir=self.disk.parent) as name:
            partition = Path(name) / "partition.img"
            sparse.copy_part(self.disk, self.start, self._size, partition)
            argv = ["e2fsck", "-fy", partition.name]
            self._tools.run(argv, cwd=partition.parent, statuses=_E2FSCK_ENDS)
            sparse.put_part(partition, self.disk, self.start)

    def ask(self, request: str) -> str:
        with File.open(self.disk) as image:
            return Debugfs(image, self.start, CpuTime()).ask(request, _ANSWER)

    def blocks(self, path: str) -> list[int]:
        """The blocks of a file or a directory."""
        return [int(number) for number in self.ask(f"blocks {path}").split()]

    @property
    def block_size(self) -> int:
        return self._told(_BLOCK_SIZE)

    @property
    def free_bytes(self) -> int:
        return self._told(_FREE) * self.block_size

    def write(self, files: Iterable[Content]) -> list[KnownFile]:
        """Write files, with the directories that they need; returns what is there now."""
        made: dict[str, None] = {}
        with self.scratch() as directory:
            requests, known = [], []
            for number, file in enumerate(files):
                parent, _, name = file.path.rpartition("/")
                source, digest = directory / str(number), hashlib.sha256()
                with source.open("wb") as out:
                    for piece in file.pieces():
                        digest.update(piece)
                        out.write(piece)
                made |= dict.fromkeys(_parents(parent))
                requests += [
                    f"cd {parent or '/'}",
                    f"write {directory.name}/{number} {name}",
                    f"set_inode_field {file.path} mtime @{file.mtime}",
                ]
                known.append(
                    KnownFile(
                        path=file.path,
                        size=file.size,
                        sha256=digest.hexdigest(),
                        mtime=file.mtime,
                        older_dump=file.older_dump,
                    )
                )
            self.change([*(f"mkdir {path}" for path in made), *requests])
        return known

    def link(self) -> None:
        """Make a symbolic link to a directory."""
        self.change([f"symlink {LINK} {LINKED}"])

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory beside the disk, for files that debugfs reads."""
        with TemporaryDirectory(prefix="files-", dir=self.disk.parent) as name:
            yield Path(name)

    def _told(self, what: re.Pattern[str]) -> int:
        found = what.search(self.ask("stats -h"))
        if found is None:
            raise HarnessError(f"debugfs does not tell '{what.pattern}' of {self.disk}")
        return int(found[1])


def _parents(directory: str) -> Iterator[str]:
    """A directory and those above it, the highest first."""
    names = directory.strip("/").split("/") if directory.strip("/") else []
    for count in range(1, len(names) + 1):
        yield "/" + "/".join(names[:count])
