"""Read files from others: only regular files, and never more than expected.

Evidence, crashes and reports may come from anybody. A FIFO instead of a file would make its reader
wait for ever. To open a device may have effects. A link may lead anywhere.
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
    """Whether there is anything at ``path``, even a link that leads nowhere."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def is_file(path: Path) -> bool:
    """Whether ``path`` leads to a regular file; False if it cannot be a path."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def require_plain(path: Path) -> os.stat_result:
    """Raises EvidenceError, with the path, unless it is a regular file; a link is refused."""
    try:
        found = path.lstat()
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: {_why(error)}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise EvidenceError(f"{path}: is {kind}, not a file")
    return found


def require_own_directory(path: Path) -> None:
    """Raises EvidenceError if ``path`` is something other than a directory, such as a link.

    A missing directory is not refused here; it shows when its files are read.
    """
    if is_there(path) and (path.is_symlink() or not path.is_dir()):
        raise EvidenceError(f"{path}: is not a directory of its own")


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file for reading; raises EvidenceError, with the path, for anything else."""
    require_plain(path)
    try:
        return os.fdopen(os.open(path, _FLAGS), "rb")
    except OSError as error:
        raise EvidenceError(f"{path}: {_why(error)}") from error


def read_plain(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; raises EvidenceError."""
    with open_plain(path) as file:
        try:
            # read only what is there: read(limit) would allocate a buffer of that size
            data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
        except OSError as error:
            raise EvidenceError(f"{path}: {_why(error)}") from error
    if len(data) > limit:
        raise EvidenceError(f"{path}: is larger than {limit} bytes, the most that is read of it")
    return data


def read_end(path: Path, limit: int) -> tuple[bytes, bool]:
    """The last ``limit`` bytes of a regular file, and whether there are more before them.

    Raises EvidenceError, with the path.
    """
    with open_plain(path) as file:
        try:
            before = max(0, file.seek(0, os.SEEK_END) - limit)
            file.seek(before)
            return file.read(limit), before > 0
        except OSError as error:
            raise EvidenceError(f"{path}: {_why(error)}") from error


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
