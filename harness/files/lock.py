"""Files whose lock says that a directory is in use; see flock(2)."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HostError


@contextmanager
def alone(lock: Path, busy: HostError) -> Iterator[None]:
    """Hold ``lock``, a file that is made with its directory; raises ``busy`` if another has it.

    An OSError with a file in that directory becomes a HostError, also in the ``with`` block.
    """
    place = lock.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise busy from None
            yield
    except OSError as error:
        if error.filename is None or not Path(error.filename).is_relative_to(place):
            raise
        raise HostError(f"{error.filename}: {error.strerror}") from error
