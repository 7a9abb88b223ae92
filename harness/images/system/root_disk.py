"""From a directory to a disk image with a DOS partition table and one ext4 file system.

mke2fs copies the directory (mke2fs(8), -d). The files there belong to the host's user; debugfs
writes the owners and modes that they are to have into the inodes.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import BuildError
from harness.images.command import Tools
from harness.images.disk import PARTITION_START, make_partition
from harness.images.system.tree import Special

DISK_ID = 0x7A686464
PARTUUID = f"{DISK_ID:08x}-01"
UUID = "7a686172-6e65-7373-2064-656269616e21"
_DISK_ID_AT = 0x1B8  # of the partition table (struct "<I")
_FIRST_INODE = 11  # the first one that is not reserved: lost+found (ext4 special inodes)
_NUMBERS = re.compile(r"^(Inode count|Free inodes): +(\d+)", re.MULTILINE)


def make_root_disk(
    disk: Path, size: int, root: Path, special: Mapping[str, Special], tools: Tools
) -> None:
    """A new sparse disk image of ``size`` bytes whose first partition has the files of ``root``.

    All belong to root, except those that are ``special``. Raises BuildError.
    """
    make_partition(disk, size)
    with disk.open("r+b") as file:
        file.seek(_DISK_ID_AT)
        file.write(struct.pack("<I", DISK_ID))
    tools.run(
        [
            "mke2fs",
            *("-q", "-F"),
            *("-t", "ext4"),
            *("-b", "4096"),
            *("-U", UUID),
            *("-L", "root"),
            *("-d", str(root)),
            "-E",
            f"offset={PARTITION_START},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=1",
            str(disk),
            f"{(size - PARTITION_START) // 1024}k",
        ]
    )
    owners = [*_owned_by_root(disk, root, tools), *_owned_by_others(root, special)]
    if owners:
        _write(disk, owners)


def take_out(disk: Path, path: str, into: Path, tools: Tools) -> None:
    """Copy a file of the file system to the host; raises BuildError if it is not there."""
    _read(disk, f'dump "{path}" "{into}"', tools)
    if not into.is_file() or not into.stat().st_size:
        raise BuildError(f"the file system in {disk.name} has no {path}")


def _owned_by_root(disk: Path, root: Path, tools: Tools) -> Iterator[str]:
    """Commands for all inodes, unless their owner on the host is root, too."""
    owner = root.stat()
    if (owner.st_uid, owner.st_gid) == (0, 0):
        return
    numbers = dict(_NUMBERS.findall(_read(disk, "show_super_stats -h", tools)))
    used = int(numbers["Inode count"]) - int(numbers["Free inodes"])
    for inode in range(_FIRST_INODE, used + 1):  # mke2fs uses them in this order
        yield f"set_inode_field <{inode}> uid 0"
        yield f"set_inode_field <{inode}> gid 0"


def _owned_by_others(root: Path, special: Mapping[str, Special]) -> Iterator[str]:
    for name, wanted in special.items():
        mode = stat.S_IFMT((root / name).lstat().st_mode) | wanted.mode
        yield f'set_inode_field "/{name}" uid {wanted.uid}'
        yield f'set_inode_field "/{name}" gid {wanted.gid}'
        yield f'set_inode_field "/{name}" mode 0{mode:o}'


def _read(disk: Path, command: str, tools: Tools) -> str:
    printed: list[str] = []
    argv = ["debugfs", "-R", command, _device(disk)]
    tools.run(argv, on_line=printed.append)
    return "".join(printed)


def _write(disk: Path, commands: Sequence[str]) -> None:
    """Raises BuildError at the first complaint: debugfs itself goes on, and succeeds."""
    printed: list[str] = []
    quiet = Tools(Path(os.devnull), "the owners of files")  # it repeats all commands
    script = "".join(f"{command}\n" for command in commands)
    argv = ["debugfs", "-w", "-f", "-", _device(disk)]
    quiet.run(argv, on_line=printed.append, stdin=script)
    for line in printed:
        if not line.startswith("debugfs"):
            raise BuildError(f"owners of files in {disk.name}: debugfs: {line.strip()}")


def _device(disk: Path) -> str:
    return f"{disk}?offset={PARTITION_START}"
