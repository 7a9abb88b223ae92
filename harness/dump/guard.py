"""The last line of defence: a command on dumps that takes too much memory or time is refused.

Readers do not get that far by themselves (``harness.limits``). What was overlooked ends here, and
what an honest dump of the size would not take either.
"""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from harness.limits import exceeded, memory_for, seconds_for

_BLOCK = 512  # bytes, of st_blocks
_AGAIN = 0.5  # seconds of CPU time after which it is said once more, if somebody did not listen


@contextmanager
def guarded(*files: Path) -> Iterator[None]:
    """For the length of a ``with`` block in the main thread, limit memory and CPU time.

    Both grow with the sizes of ``files``. Raises LimitError, in place of MemoryError, if the
    process needs more; children have the same limit of memory, and none of time.
    """
    names, sizes = ", ".join(map(str, files)), [_size(file) for file in files]
    seconds, memory = seconds_for(*sizes), memory_for(*sizes)
    try:
        with _memory_limit(memory), _time_limit(names, seconds):
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


@contextmanager
def _time_limit(names: str, seconds: int) -> Iterator[None]:
    """Of CPU time: a host that is busy, or was suspended, makes no dump a wrong one."""

    def too_long(_: int, __: FrameType | None) -> NoReturn:
        raise exceeded(names, "takes more CPU time, in seconds", seconds)

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _size(file: Path) -> int:
    """Bytes that a file has on its disk, holes not counted; of a device all; 0 if it is none."""
    try:
        status = file.stat()
        if not stat.S_ISBLK(status.st_mode):
            return status.st_blocks * _BLOCK
        with file.open("rb") as device:
            return device.seek(0, os.SEEK_END)
    except OSError:  # told by whoever opens it
        return 0
