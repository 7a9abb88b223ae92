"""One at a time, across processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.progress import Progress


@contextmanager
def locked(path: Path, what: str, progress: Progress) -> Iterator[None]:
    """Hold the lock file ``path`` (flock(2), which ends with its holder); says whom it waits for.

    The file stays: to remove it would let two holders in.
    """
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another one"
            with progress.task(f"wait for process {holder}, which is at {what}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
