"""Files on an ext2/3/4 partition of a disk image, read in place and without root.

e2fsprogs' debugfs lists a directory and the blocks of a file. The blocks themselves are read from
the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.dump.byte_source import ByteSource, File
from harness.dump.disk.c_disk import EXT_SUPER_AT, EXT_SUPER_MAGIC, c_disk
from harness.dump.disk.debugfs import CpuTime, Debugfs
from harness.dump.disk.fragments import FragmentedSource, Piece
from harness.errors import EvidenceError
from harness.limits import limits, require
from harness.s390x.disk_layout import DiskLayout

ROOT = 2  # EXT2_ROOT_INO
DUMP_NAME = re.compile(r"dump\.(\d+)")
_DIRECTORY, _REGULAR = "04", "10"  # how a mode begins, in octal
_SIZE = re.compile(r"\bSize: (\d+)$", re.MULTILINE)
_MTIME = re.compile(r"^ *mtime: 0x([0-9a-f]+)", re.MULTILINE)
_AT_ONCE = 256  # files per request to debugfs
_TOLD_OF_FILE, _TOLD_OF_BLOCK = 4096, 32  # bytes, at most
_INLINE = "Size of inline data:"
_MAP = re.compile(r"^(?:BLOCKS|EXTENTS):$", re.MULTILINE)
_MAX_BLOCK = 1 << 48  # of a file, and of a file system (Linux fs/ext4/ext4_extents.h)
_FEATURES_AT, _COMPAT_JOURNAL, _INCOMPAT_EXTENTS = 0x5C, 0x4, 0x40  # lib/ext2fs/ext2_fs.h
_LARGEST_BLOCK_SHIFT = 6  # 64 KiB (lib/ext2fs/ext2_fs.h, EXT2_MAX_BLOCK_LOG_SIZE)
# "(0-11):690-701, (IND):702, (12[u]):703": blocks of the file and on the disk; [u] is uninitialised
_BLOCKS = re.compile(r"\((\d+)(?:-(\d+))?(\[u\])?\):(\d+)")


@dataclass(frozen=True)
class ExtFile:
    """A file, by its inode. ``size`` is in bytes. ``mtime`` is in seconds since 1970, by the clock
    of the system that wrote the file.
    """

    path: str
    inode: int
    size: int
    mtime: int

    @property
    def number(self) -> int:
        """N of a dump.N, -1 for any other file."""
        match = DUMP_NAME.fullmatch(self.path.rpartition("/")[2])
        return int(match[1]) if match else -1


def is_ext(content: ByteSource, start: int = 0) -> bool:
    """Whether an ext file system begins at byte ``start``."""
    data = content.upto(start + EXT_SUPER_AT, len(c_disk.ext4_super_block))
    if len(data) < len(c_disk.ext4_super_block):
        return False
    return c_disk.ext4_super_block(data).s_magic == EXT_SUPER_MAGIC


def ext_kind(content: ByteSource, start: int) -> DiskLayout | None:
    """Which of ext2, ext3 and ext4 begins at byte ``start``, by its features; None if none."""
    if not is_ext(content, start):
        return None
    flags = content.upto(start + EXT_SUPER_AT + _FEATURES_AT, 12)
    compatible, incompatible, _ = (int.from_bytes(flags[at : at + 4], "little") for at in (0, 4, 8))
    if incompatible & _INCOMPAT_EXTENTS:
        return DiskLayout.EXT4
    return DiskLayout.EXT3 if compatible & _COMPAT_JOURNAL else DiskLayout.EXT2


def begins_ext(content: ByteSource, start: int, size: int) -> bool:
    """Whether an ext file system begins at byte ``start``, and is at most ``size`` bytes.

    The copies of its superblock do not count, nor do superblocks that make no sense.
    """
    if not is_ext(content, start):
        return False
    data = content.upto(start + EXT_SUPER_AT, len(c_disk.ext4_super_block))
    superblock = c_disk.ext4_super_block(data)
    shift = superblock.s_log_block_size
    if superblock.s_block_group_nr or shift > _LARGEST_BLOCK_SHIFT:
        return False
    return 0 < superblock.s_blocks_count_lo << (10 + shift) <= size


class FileSystem:
    """The ext file system of ``size`` bytes at byte ``start`` of the open image ``disk``.

    ``time`` is the CPU time that debugfs may take for all file systems of the disk. A message of
    debugfs becomes an EvidenceError.
    """

    def __init__(self, disk: File, start: int, size: int, time: CpuTime | None = None) -> None:
        self._name, self._partition, self._start = disk.name, disk.part(start, size), start
        self._debugfs = Debugfs(disk, start, time or CpuTime())

    def dumps(self, directory: str = "/") -> tuple[ExtFile, ...]:
        """Every dump.N in ``directory``, the newest last: by time, then by number."""
        at = self._directory(directory)
        if at is None:
            raise EvidenceError(f"{self._name}: directory {directory} not found")
        found = [
            (f"{directory.rstrip('/')}/{name}", inode)
            for name, inode, mode in self._entries(at)
            if DUMP_NAME.fullmatch(name) and mode.startswith(_REGULAR)
        ]
        require(self._name, f"dumps in {directory}", len(found), limits().dump_files)
        files = [
            file
            for start in range(0, len(found), _AT_ONCE)
            for file in self._files(found[start : start + _AT_ONCE])
        ]
        return tuple(sorted(files, key=lambda file: (file.mtime, file.number)))

    def files(self, most: int) -> tuple[ExtFile, ...]:
        """The first ``most`` regular files in the root directory that are not empty."""
        found = [
            (f"/{name}", inode)
            for name, inode, mode in self._entries(ROOT)
            if mode.startswith(_REGULAR)
        ]
        files = self._files(found[:most]) if found else []
        return tuple(file for file in files if file.size)

    def find(self, path: str) -> ExtFile | None:
        """The regular file at ``path``, seen from the root; None if there is none."""
        parent, _, name = path.strip("/").rpartition("/")
        at = self._directory(parent)
        if at is None:
            return None
        for found, inode, mode in self._entries(at):
            if found == name and mode.startswith(_REGULAR):
                return self._files([(f"/{path.strip('/')}", inode)])[0]
        return None

    def content(self, file: ExtFile) -> ByteSource:
        """The file's content, read in place. Closing it closes the image."""
        name, told = (
            f"{self._name}: {file.path}",
            self._request(f"stat <{file.inode}>", self._told_of(1)),
        )
        if _INLINE in told:
            raise EvidenceError(f"{name}: is kept in its inode, which no dump is")
        pieces = self._pieces(file, told)
        return FragmentedSource(self._partition, pieces, file.size, name)

    def places(self, file: ExtFile) -> Iterator[tuple[int, int]]:
        """(start, end) in the image of each piece of a file's content."""
        for piece in self._pieces(file, self._request(f"stat <{file.inode}>", self._told_of(1))):
            if piece.source + piece.size <= self._partition.size:
                yield self._start + piece.source, self._start + piece.source + piece.size

    def _pieces(self, file: ExtFile, told: str) -> Iterator[Piece]:
        block, blocks = self._block_size(), _MAP.search(told)
        for match in _BLOCKS.finditer(told, blocks.start() if blocks else len(told)):
            first, last, uninitialised, physical = match.groups()
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
        return 1024 << shift

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
        """Name, inode and mode of each entry of a directory."""
        for line in self._request(f"ls -p <{directory}>", limits().directory_bytes).splitlines():
            fields = line.split("/")  # /inode/mode/uid/gid/name/size/
            if len(fields) == 8 and fields[1].isdecimal() and fields[1] != "0":
                yield fields[5], int(fields[1]), fields[2]

    def _files(self, found: Sequence[tuple[str, int]]) -> list[ExtFile]:
        """The files of these paths and inodes."""
        told = self._requests([f"stat <{inode}>" for _, inode in found], self._told_of(len(found)))
        return [
            self._file(path, inode, answer)
            for (path, inode), answer in zip(found, told, strict=True)
        ]

    def _file(self, path: str, inode: int, told: str) -> ExtFile:
        size, mtime = _SIZE.search(told), _MTIME.search(told)
        if size is None:
            raise EvidenceError(f"{self._name}: {path}: debugfs does not tell its size")
        return ExtFile(path, inode, int(size[1]), int(mtime[1], 16) if mtime else 0)

    def _request(self, request: str, most: int) -> str:
        return self._debugfs.ask(request, most)

    def _requests(self, requests: Sequence[str], most: int) -> list[str]:
        return self._debugfs.ask_all(requests, most)

    def _told_of(self, files: int) -> int:
        """The most bytes that debugfs prints about so many files: no two files share a block."""
        blocks = self._partition.size // self._block_size()
        return min(_TOLD_OF_BLOCK * blocks, limits().block_map_bytes) + _TOLD_OF_FILE * files
