"""What a process says on its standard error before it ends."""

from __future__ import annotations

import os
import threading

from harness.closing import Closing

KEPT_BYTES = 4096
END_SECONDS = 5.0  # for the end of the pipe, after the process's

_READ_BYTES = 65536


class LastWords(Closing):
    """A pipe whose writing end is ``sink``, for a child process. Only its end is kept.

    A guest can bring QEMU to complain for ever (of a broken queue, say), and a file would grow for
    ever. A thread reads until nobody holds the writing end.
    """

    def __init__(self, name: str) -> None:
        source, self.sink = os.pipe2(os.O_CLOEXEC)
        self._kept = b""
        self._thread = threading.Thread(
            target=self._read, args=(source,), name=f"words of {name}", daemon=True
        )
        self._thread.start()

    def started(self) -> None:
        """The child has the writing end, or will never have it: ours is needed no more."""
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1

    def lines(self, count: int) -> list[str]:
        """The last ``count`` lines of a child that has ended."""
        self.close()
        return self._kept.decode(errors="replace").splitlines()[-count:]

    def close(self) -> None:
        """For a child that has ended; a grandchild that lives on is not waited for."""
        self.started()
        self._thread.join(END_SECONDS)

    def _read(self, source: int) -> None:
        with os.fdopen(source, "rb", buffering=0) as pipe:
            while data := pipe.read(_READ_BYTES):
                self._kept = (self._kept + data)[-KEPT_BYTES:]
