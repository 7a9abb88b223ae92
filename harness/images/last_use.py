"""When something in the store was used last, and whether a process uses it now.

Each thing has an empty file. Its time is that of the last use. Who uses the thing holds a shared
lock (flock(2)) on the file; who removes the thing, an exclusive one.
"""

from __future__ import annotations

import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_MOST_HELD = 64  # files that stay open; what was used before that is protected by its time


class LastUse:
    """The notes in one store. A store that cannot be written has none."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: OrderedDict[str, IO[bytes]] = OrderedDict()

    def note(self, name: str) -> None:
        """It is used now, until this process ends or has used many other things."""
        with suppress(OSError):  # somebody else's store, or one that shall not be made here
            file = self._held.pop(name, None) or self._opened(name)
            fcntl.flock(file, fcntl.LOCK_SH)
            os.utime(file.fileno())
            self._held[name] = file
            while len(self._held) > _MOST_HELD:
                self._held.popitem(last=False)[1].close()

    def at(self, name: str) -> float | None:
        """Seconds since the epoch; None if no use was noted."""
        try:
            return (self._root / name).stat().st_mtime
        except OSError:
            return None

    def in_use(self, name: str) -> bool:
        """Whether a process uses it; changes nothing. Raises OSError."""
        try:
            file = (self._root / name).open("rb")
        except FileNotFoundError:
            return False
        with file:
            return not _alone(file)

    @contextmanager
    def unused(self, name: str) -> Iterator[bool]:
        """Whether no process uses it; if so, none begins to during the ``with`` block.

        Raises OSError if the store cannot be written.
        """
        before = self.at(name)
        with self._opened(name) as file:
            if before is None:  # to ask is no use
                os.utime(file.fileno(), (0, 0))
            yield _alone(file)

    def _opened(self, name: str) -> IO[bytes]:
        self._root.mkdir(exist_ok=True)
        return (self._root / name).open("ab", buffering=0)


def _alone(file: IO[bytes]) -> bool:
    """Take the exclusive lock; whether that was possible."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
