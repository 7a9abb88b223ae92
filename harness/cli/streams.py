"""Standard input, output and error of a command: faults of them never cause a wrong exit code.

Python would raise at a write, at a flush, or when it exits (exit code 120); libraries turn that
into exit code 1, which here means a wrong dump. So output that cannot be written is dropped,
and ``main`` asks for the failure in the end.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from typing import Any, TextIO

from harness.closing import Closing

STDIN, STDOUT, STDERR = range(3)
_ENCODING = "utf-8"


class Streams(Closing):
    """Owns ``sys.stdin``, ``sys.stdout`` and ``sys.stderr``, unless a test has replaced them.

    A closed descriptor is opened on /dev/null, so that no file or socket gets its number.
    Characters that the encoding of a stream lacks are written as escapes.
    """

    def __init__(self) -> None:
        closed = _occupy()
        self.no_output = STDOUT in closed
        self._former = sys.stdin, sys.stdout, sys.stderr
        self._out = _Dropping(STDOUT)
        if sys.stdin is None:
            sys.stdin = open(STDIN, encoding=_ENCODING, closefd=False)  # noqa: SIM115 -- ours for good
        if sys.stdout is sys.__stdout__:
            sys.stdout = _text(self._out, line_buffering=os.isatty(STDOUT), of=sys.__stdout__)
        if sys.stderr is sys.__stderr__:
            sys.stderr = _text(_Dropping(STDERR), line_buffering=True, of=sys.__stderr__)

    def close(self) -> None:
        """Write what is left; errors are ignored."""
        self.flush()
        sys.stdin, sys.stdout, sys.stderr = self._former

    def flush(self) -> None:
        """Write what is left."""
        sys.stdout.flush()
        sys.stderr.flush()

    @property
    def failure(self) -> OSError | None:
        """Why standard output is not complete; None if it is, or if its reader closed the pipe."""
        error = self._out.error
        return None if error is None or error.errno == errno.EPIPE else error


class _Dropping(io.RawIOBase):
    """Writes to ``fd``; after the first ``error`` it drops everything."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: Any, /) -> int:
        while self.error is None:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:  # another user of the terminal has made it non-blocking
                select.select([], [self._fd], [])
            except OSError as error:
                self.error = error
        return len(data)


def _text(raw: _Dropping, *, line_buffering: bool, of: TextIO | None) -> TextIO:
    encoding = _ENCODING if of is None else of.encoding
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffered, encoding=encoding, errors="backslashreplace", line_buffering=line_buffering
    )


def _occupy() -> frozenset[int]:
    """Open those of the three descriptors that are closed; returns which these were."""
    closed = {fd for fd in (STDIN, STDOUT, STDERR) if not _is_open(fd)}
    for _ in closed:  # each gets the lowest number that is free
        _open_nothing()
    return frozenset(closed)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _open_nothing() -> None:
    """A descriptor that reads as empty and takes everything."""
    try:
        fd = os.open(os.devnull, os.O_RDWR)
        if stat.S_ISCHR(os.fstat(fd).st_mode):
            return
        os.close(fd)
    except OSError:
        pass
    os.memfd_create("nothing")
