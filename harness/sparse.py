"""Sparse files: where their data is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator


def data_extents(fd: int, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """(offset, size) of each run of data between ``start`` and ``end`` (default: end of file).

    What lies between is a hole and reads as zeros; finding it costs no reading and, in a
    memory file, allocates nothing.
    """
    position = start
    stop = os.fstat(fd).st_size if end is None else end
    while position < stop:
        try:
            data = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data behind this position
                return
            raise
        if data >= stop:
            return
        position = min(os.lseek(fd, data, os.SEEK_HOLE), stop)
        yield data, position - data
