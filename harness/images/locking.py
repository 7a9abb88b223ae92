"""File locks between processes, and between the threads of this one."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.progress import Progress

_between_threads: dict[Path, threading.Lock] = {}


@contextmanager
def locked(path: Path, what: str, progress: Progress) -> Iterator[None]:
    """Hold the lock file ``path`` (flock(2), which ends with its holder).

    If another process holds it, ``progress`` tells so; other threads are waited for in silence. The
    file stays: if it were removed, two processes could hold the lock.
    """
    with _between_threads.setdefault(path, threading.Lock()), path.open("a+") as lock:
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
