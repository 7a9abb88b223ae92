"""Files of others, opened for reading: nothing but regular files, and never more than expected.

Evidence, crashes and reports come from anywhere. A FIFO in the place of a file would make its
reader wait for ever, opening a device may do something, a link may lead to anything.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from harness.errors import EvidenceError

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def is_there(path: Path) -> bool:
    """Whether there is anything at ``path``, be it a link that leads nowhere."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def is_file(path: Path) -> bool:
    """Whether a path leads to a regular file; one that cannot be a path does not."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def require_plain(path: Path) -> os.stat_result:
    """Raises EvidenceError, naming the file, unless it is a regular file itself: no link to one."""
    try:
        found = path.lstat()
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: {_why(error)}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise EvidenceError(f"{path}: is {kind}, not a file")
    return found


def require_own_directory(path: Path) -> None:
    """Raises EvidenceError if there is something at ``path`` that is no directory, such as a link.

    That none is there shows when its files are read.
    """
    if is_there(path) and (path.is_symlink() or not path.is_dir()):
        raise EvidenceError(f"{path}: is not a directory of its own")


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file for reading; raises EvidenceError, naming it, if it is anything else."""
    require_plain(path)
    try:
        return os.fdopen(os.open(path, _FLAGS), "rb")
    except OSError as error:
        raise EvidenceError(f"{path}: {_why(error)}") from error


def read_plain(path: Path, limit: int) -> bytes:
    """All of a regular file of at most ``limit`` bytes; raises EvidenceError, naming it."""
    with open_plain(path) as file:
        try:
            # as much as there is: a buffer for ``limit`` bytes would be made at once
            data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
        except OSError as error:
            raise EvidenceError(f"{path}: {_why(error)}") from error
    if len(data) > limit:
        raise EvidenceError(f"{path}: is larger than {limit} bytes, the most that is read of it")
    return data


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
