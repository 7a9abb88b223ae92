"""What is on a used dump disk: files that follow from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

PIECE = 1 << 20  # bytes
FIRST_TIME = 1_000_000_000  # seconds since 1970

TOUCHED = "/known/touched-by-damage.bin"
JOURNALED = "/journaled"
LINK, LINKED = "/link", "known"
# bytes; directories are made as needed
FILES = {
    "/known/notes.txt": 100,
    "/known/empty": 0,
    "/known/deep/er/one-and-a-bit.bin": 4097,
    "/known/large.bin": (1 << 20) + 1,
    TOUCHED: 64 << 10,
    f"{JOURNALED}/page.bin": 4096,
}


@dataclass(frozen=True)
class Content:
    """A file to be written; ``mtime`` is in seconds since 1970."""

    path: str
    size: int
    seed: int
    mtime: int = FIRST_TIME
    older_dump: bool = False

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, up to 1 MiB at a time; no piece equals another, and none has holes."""
        data = hashlib.shake_256(f"{self.seed} {self.path}".encode()).digest(min(self.size, PIECE))
        for at in range(0, self.size, PIECE):
            piece = at.to_bytes(8, "big") + data[8:]
            yield piece[: self.size - at]


def known_files(seed: int) -> list[Content]:
    """The files of a seed."""
    return [Content(path, size, seed) for path, size in FILES.items()]


def older_dumps(seed: int, directory: str, count: int, size: int) -> list[Content]:
    """``count`` files of ``size`` bytes with the names of dumps.

    The oldest is dump.1, the newest dump.0: age and number are not the same.
    """
    base = directory.rstrip("/")
    return [
        Content(f"{base}/dump.{n}", size, seed, FIRST_TIME + (n - 1) % count, older_dump=True)
        for n in range(count)
    ]
