"""File locks between processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.progress import Progress


@contextmanager
def locked(path: Path, what: str, progress: Progress) -> Iterator[None]:
    """Hold the lock file ``path`` (flock(2), which ends with its holder); reports the other holder.

    The file stays: if it were removed, two processes could hold the lock.
    """
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another one"
            if holder == str(os.getpid()):  # another thread
                fcntl.flock(lock, fcntl.LOCK_EX)
            else:
                with progress.task(f"wait for process {holder}, which is at {what}"):
                    fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
