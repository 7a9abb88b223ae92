"""Stop a command on dumps that takes too much memory or time.

Readers have their own limits (``harness.limits``). This module catches what they overlook, and
everything that a genuine dump of this size would not need.
"""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.host.cpu_time import cpu_time_limit
from harness.limits import exceeded, memory_for, seconds_for

_BLOCK = 512  # bytes, of st_blocks


@contextmanager
def guarded(*files: Path) -> Iterator[None]:
    """Limit memory and CPU time during a ``with`` block in the main thread.

    Both grow with the sizes of ``files``. Raises LimitError, in place of MemoryError, if the
    process needs more; children have the same limit of memory, and none of time.
    """
    names, sizes = ", ".join(map(str, files)), [_size(file) for file in files]
    seconds, memory = seconds_for(*sizes), memory_for(*sizes)
    too_long = exceeded(names, "takes more CPU time, in seconds", seconds)
    try:
        with _memory_limit(memory), cpu_time_limit(seconds, too_long):
            yield
    except MemoryError:
        raise exceeded(names, "needs more memory, in MiB", memory >> 20) from None


@contextmanager
def _memory_limit(size: int) -> Iterator[None]:
    """RLIMIT_DATA counts what is written to and private: heap, buffers, stacks (setrlimit(2))."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _taken() + size
    soft = wanted if before[1] == resource.RLIM_INFINITY else min(wanted, before[1])
    resource.setrlimit(resource.RLIMIT_DATA, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _taken() -> int:
    """Bytes of private, writable memory that the process has."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmData":
            return int(value.split()[0]) << 10
    return 0


def _size(file: Path) -> int:
    """Bytes that a file uses on its disk, without holes; all of a device; 0 for anything else."""
    try:
        status = file.stat()
        if not stat.S_ISBLK(status.st_mode):
            return status.st_blocks * _BLOCK
        with file.open("rb") as device:
            return device.seek(0, os.SEEK_END)
    except OSError:  # the code that opens it reports the error
        return 0
