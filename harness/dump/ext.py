"""Files on an ext2/3/4 partition of a disk image, read in place and without root.

e2fsprogs' debugfs tells what is in a directory and which blocks a file has; it takes
``IMAGE?offset=BYTES`` for a file system within a disk image (libext2fs ``unix_io``). The blocks
themselves are read from the image.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from harness.build.command import find_tool
from harness.dump.c_disk import EXT_SUPER_AT, EXT_SUPER_MAGIC, c_disk
from harness.dump.content import Content, File
from harness.dump.fragments import FragmentedContent, Piece
from harness.errors import EvidenceError, HostError

ROOT = 2  # EXT2_ROOT_INO
DUMP_NAME = re.compile(r"dump\.(\d+)")
_DIRECTORY, _REGULAR = "04", "10"  # how a mode begins, in octal
_SIZE = re.compile(r"\bSize: (\d+)$", re.MULTILINE)
_MTIME = re.compile(r"^ *mtime: 0x([0-9a-f]+)", re.MULTILINE)
# what debugfs says of its own trouble (errno(3), e2fsprogs lib/ext2fs/ext2_err.et)
_OF_THE_HOST = re.compile(
    "Cannot allocate memory|Memory allocation failed|Permission denied|Operation not permitted"
)
_SECONDS = 120  # it answers in well under one, but a damaged file system may lead it in circles
_INLINE = "Size of inline data:"
_MAP = re.compile(r"^(?:BLOCKS|EXTENTS):$(.*)", re.MULTILINE | re.DOTALL)
_MAX_BLOCK = 1 << 48  # of a file, and of a file system (Linux fs/ext4/ext4_extents.h)
_LARGEST_BLOCK_SHIFT = 6  # 64 KiB (lib/ext2fs/ext2_fs.h, EXT2_MAX_BLOCK_LOG_SIZE)
# "(0-11):690-701, (IND):702, (12[u]):703": blocks of the file, where they are, if uninitialised
_BLOCKS = re.compile(r"\((\d+)(?:-(\d+))?(\[u\])?\):(\d+)")


@dataclass(frozen=True)
class ExtFile:
    """A file by its inode. ``size`` in bytes, ``mtime`` in seconds since 1970 by the clock of the
    system that wrote it; ``told`` is all that debugfs told, the block map among it.
    """

    path: str
    inode: int
    size: int
    mtime: int
    told: str

    @property
    def number(self) -> int:
        """N of a dump.N, -1 for any other file."""
        match = DUMP_NAME.fullmatch(self.path.rpartition("/")[2])
        return int(match[1]) if match else -1


def is_ext(content: Content, start: int = 0) -> bool:
    """Whether an ext file system begins at byte ``start``."""
    data = content.upto(start + EXT_SUPER_AT, len(c_disk.ext4_super_block))
    if len(data) < len(c_disk.ext4_super_block):
        return False
    return bool(c_disk.ext4_super_block(data).s_magic == EXT_SUPER_MAGIC)


class FileSystem:
    """The ext file system of ``size`` bytes at byte ``start`` of the open image ``disk``.

    Whatever debugfs complains of is an EvidenceError in its own words.
    """

    def __init__(self, disk: File, start: int, size: int) -> None:
        self._fd, self._name = disk.file.fileno(), disk.name
        self._partition = disk.part(start, size)
        # by descriptor: debugfs would take a '?' in a path for the start of its options
        self._device = f"/proc/self/fd/{self._fd}?offset={start}"

    def dumps(self, directory: str = "/") -> tuple[ExtFile, ...]:
        """Every dump.N in ``directory``, the newest last: by time, then by number."""
        at = self._directory(directory)
        if at is None:
            raise EvidenceError(f"{self._name}: directory {directory} not found")
        found = [
            self._file(f"{directory.rstrip('/')}/{name}", inode)
            for name, inode, mode in self._entries(at)
            if DUMP_NAME.fullmatch(name) and mode.startswith(_REGULAR)
        ]
        return tuple(sorted(found, key=lambda file: (file.mtime, file.number)))

    def find(self, path: str) -> ExtFile | None:
        """The regular file at ``path``, which counts from the root; None if there is none."""
        parent, _, name = path.strip("/").rpartition("/")
        at = self._directory(parent)
        if at is None:
            return None
        for found, inode, mode in self._entries(at):
            if found == name and mode.startswith(_REGULAR):
                return self._file(f"/{path.strip('/')}", inode)
        return None

    def content(self, file: ExtFile) -> Content:
        """The file's content, read in place; the image is closed with it."""
        name = f"{self._name}: {file.path}"
        if _INLINE in file.told:
            raise EvidenceError(f"{name}: is kept in its inode, which no dump is")
        pieces = self._pieces(file)
        return FragmentedContent(self._partition, pieces, file.size, name)

    def _pieces(self, file: ExtFile) -> Iterator[Piece]:
        block, blocks = self._block_size(), _MAP.search(file.told)
        for first, last, uninitialised, physical in _BLOCKS.findall(blocks[1] if blocks else ""):
            start, end, source = int(first), int(last or first) + 1, int(physical)
            if max(end, source) > _MAX_BLOCK:
                raise EvidenceError(
                    f"{self._name}: {file.path}: blocks {start} to {end - 1} at {source} are more "
                    "than a file system has"
                )
            if not uninitialised and end > start:
                yield Piece(start * block, (end - start) * block, source * block)

    def _block_size(self) -> int:
        data = self._partition.read(EXT_SUPER_AT, len(c_disk.ext4_super_block), "superblock")
        shift = c_disk.ext4_super_block(data).s_log_block_size
        if shift > _LARGEST_BLOCK_SHIFT:
            raise EvidenceError(f"{self._name}: s_log_block_size of its file system is {shift}")
        return 1024 << int(shift)

    def _directory(self, path: str) -> int | None:
        """The inode of a directory; None if there is none."""
        at = ROOT
        for wanted in filter(None, path.split("/")):
            inodes = [
                inode
                for name, inode, mode in self._entries(at)
                if name == wanted and mode.startswith(_DIRECTORY)
            ]
            if not inodes:
                return None
            at = inodes[0]
        return at

    def _entries(self, directory: int) -> Iterator[tuple[str, int, str]]:
        """Name, inode and mode of all that a directory has."""
        for line in self._request(f"ls -p <{directory}>").splitlines():
            fields = line.split("/")  # /inode/mode/uid/gid/name/size/
            if len(fields) == 8 and fields[1].isdecimal() and fields[1] != "0":
                yield fields[5], int(fields[1]), fields[2]

    def _file(self, path: str, inode: int) -> ExtFile:
        told = self._request(f"stat <{inode}>")
        size, mtime = _SIZE.search(told), _MTIME.search(told)
        if size is None:
            raise EvidenceError(f"{self._name}: {path}: debugfs does not tell its size")
        seconds = int(mtime[1], 16) if mtime else 0
        return ExtFile(path, inode, int(size[1]), seconds, told)

    def _request(self, request: str) -> str:
        try:
            done = self._run(request)
        except subprocess.TimeoutExpired as error:
            raise HostError(
                f"{self._name}: debugfs did not answer '{request}' within {_SECONDS} s"
            ) from error
        self._check(done.returncode, done.stderr)
        return done.stdout.decode(errors="replace")

    def _run(self, request: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [find_tool("debugfs"), "-R", request, self._device],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            pass_fds=(self._fd,),
            env={**os.environ, "LC_ALL": "C"},
        )

    def _check(self, status: int, errors: bytes) -> None:
        if status < 0:
            raise HostError(f"debugfs was killed by signal {-status} while it read {self._name}")
        # debugfs exits with 0 whatever happens: what it says is all there is to go by
        said = [line.strip() for line in errors.decode(errors="replace").splitlines()]
        complaints = [line for line in said if line and not re.match(r"debugfs \d", line)]
        if complaints:  # the first one is the cause, the others guess
            what = complaints[0].replace(self._device, "the partition")
            kind = HostError if _OF_THE_HOST.search(what) else EvidenceError
            raise kind(f"{self._name}: {what}")
