"""Keep only what is small of a run that passed: its texts, and the digests of the rest.

A replay makes the rest again. The evidence of a run that failed is never touched.
"""

from __future__ import annotations

from pathlib import Path

from harness.evidence.directory import RunDirectory
from harness.evidence.names import DUMP, RAM, SUPERBLOCK, SYSTEM_IMAGE
from harness.files import sparse
from harness.files.atomic import replace_text
from harness.files.json_file import read_object
from harness.files.json_text import to_text

_IN_CRASH, _IN_DUMP = (RAM, SYSTEM_IMAGE), (DUMP, SUPERBLOCK)
_BLOCK = 512  # bytes, the unit of st_blocks (stat(2))


def large_files(directory: Path) -> list[Path]:
    """The files of a run that are too large to be kept for long."""
    paths = RunDirectory(directory)
    files = [
        *(paths.crash / name for name in _IN_CRASH),
        *(folder / name for folder in (paths.dump, paths.reipl) for name in _IN_DUMP),
        *paths.images,
    ]
    return [path for path in files if path.is_file() and not path.is_symlink()]


def slim(directory: Path) -> int:
    """Remove the large files, and note their sizes and digests; returns the bytes that it frees.

    A file that has other names, such as one that the store shares, frees nothing. Raises OSError.
    """
    found = large_files(directory)
    if not found:
        return 0
    paths = RunDirectory(directory)
    # of an earlier call that was killed
    noted = read_object(paths.slimmed) if paths.slimmed.is_file() else {}
    noted |= {
        str(path.relative_to(directory)): {
            "size": path.stat().st_size,
            "digest": sparse.digest(path),
        }
        for path in found
    }
    replace_text(paths.slimmed, to_text(noted) + "\n")
    freed = 0
    for path in found:
        status = path.stat()
        freed += status.st_blocks * _BLOCK if status.st_nlink == 1 else 0
        path.unlink()
    return freed
