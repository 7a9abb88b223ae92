"""The last lines that a process writes to its standard error."""

from __future__ import annotations

import os
import threading

from harness.closing import Closing

KEPT_BYTES = 4096
END_SECONDS = 5.0  # for the end of the pipe, after the process's

_READ_BYTES = 65536


class LastWords(Closing):
    """A pipe whose writing end is ``sink``, for a child process. Only its end is kept.

    A guest can make QEMU complain without end (about a broken queue, for example), and a file would
    grow without end. A thread reads until nobody holds the writing end.
    """

    def __init__(self, name: str) -> None:
        source, self.sink = os.pipe2(os.O_CLOEXEC)
        self._kept = b""
        self._thread = threading.Thread(
            target=self._read, args=(source,), name=f"words of {name}", daemon=True
        )
        self._thread.start()

    def started(self) -> None:
        """The child has the writing end, or will never have it: close ours."""
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1

    def lines(self, count: int) -> list[str]:
        """The last ``count`` lines of a child that has ended."""
        self.close()
        return self._kept.decode(errors="replace").splitlines()[-count:]

    def close(self) -> None:
        """For a child that has ended; grandchildren that still run are not awaited."""
        self.started()
        self._thread.join(END_SECONDS)

    def _read(self, source: int) -> None:
        with os.fdopen(source, "rb", buffering=0) as pipe:
            while data := pipe.read(_READ_BYTES):
                self._kept = (self._kept + data)[-KEPT_BYTES:]
