"""The log of a guest's console, with limits on its size."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from harness.errors import HostError

LOG_LIMIT = 8 << 20  # characters; the whole boot of a verbose kernel is a hundredth of it
LINE_LIMIT = 4096  # characters; the kernel's own lines have at most 1,000 (LOG_LINE_MAX)
TAIL_LINES = 500  # what is remembered

LINE_END = "\n"


class ConsoleLog:
    """Cuts text into lines, writes them to ``path`` as they grow, and remembers the last ones.

    A log line is ``+   12.345678 text``: seconds since ``started`` (``time.monotonic()``) when
    its first character came, then the line without its line end. A line longer than
    ``LINE_LIMIT`` is several. A log of ``LOG_LIMIT`` characters gets no more but, at its end, the
    last ``TAIL_LINES`` lines; ``beyond`` counts the characters that came after it was full.
    """

    def __init__(self, path: Path, started: float) -> None:
        self.beyond = 0
        self._started = started
        self._path = path
        self._lock = threading.Lock()
        self._current = ""
        self._current_stamp = ""
        self._at_line_start = True
        self._last: deque[tuple[str, str]] = deque(maxlen=TAIL_LINES)  # (stamp, line)
        self._unwritten = 0  # how many of the last lines the log does not have
        self._size = 0
        try:
            self._file: TextIO = path.open("w", encoding="utf-8", newline=LINE_END)
        except OSError as error:
            raise self._unwritable(error) from error

    def feed(self, text: str, ended: bool) -> list[str]:
        """Take ``text``; returns the lines that it completes. ``ended``: nothing follows.

        Raises HostError if the log cannot be written.
        """
        text = text.replace("\r", "")
        if ended and (self._current + text) and not text.endswith(LINE_END):
            text += LINE_END
        stamp = f"+{time.monotonic() - self._started:12.6f} "
        pieces = list(self._pieces(text))
        full = self._size >= LOG_LIMIT
        if full:
            if not self.beyond and not self._at_line_start:
                self._unwritten = -1  # the line that it ends in
            self.beyond += len(text)
        else:
            self._write(pieces, stamp)
        lines = []
        with self._lock:
            for piece in pieces[:-1]:
                self._extend(piece, stamp)
                self._last.append((self._current_stamp, self._current))
                lines.append(self._current)
                self._current = ""
            self._extend(pieces[-1], stamp)
        if full:
            self._unwritten = min(self._unwritten + len(lines), TAIL_LINES)
        return lines

    def tail(self, count: int) -> tuple[str, ...]:
        """The last ``count`` lines, oldest first, an incomplete one included."""
        with self._lock:
            lines = [*(line for _, line in self._last), *filter(None, [self._current])]
        return tuple(lines[max(0, len(lines) - count) :])

    def close(self) -> None:
        """Complete the log."""
        with suppress(OSError):  # write errors were reported before
            if self.beyond:
                self._write_end()
            self._file.close()

    def _pieces(self, text: str) -> Iterator[str]:
        """What line ends separate, those included that no line does without; the last may grow."""
        room = LINE_LIMIT - len(self._current)
        for line in text.split(LINE_END):
            rest = line
            while len(rest) > room:
                yield rest[:room]
                rest, room = rest[room:], LINE_LIMIT
            yield rest
            room = LINE_LIMIT

    def _extend(self, piece: str, stamp: str) -> None:
        if not self._current:
            self._current_stamp = stamp
        self._current += piece

    def _write(self, pieces: list[str], stamp: str) -> None:
        try:
            for number, piece in enumerate(pieces):
                if number > 0:
                    if self._at_line_start:  # an empty line has its time, too
                        self._put(stamp)
                    self._put(LINE_END)
                    self._at_line_start = True
                if piece and self._at_line_start:
                    self._put(stamp)
                    self._at_line_start = False
                self._put(piece)
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _write_end(self) -> None:
        """Write the end of a log that was full: a note, and the last lines."""
        follow = list(self._last)[len(self._last) - max(0, self._unwritten) :]
        stamp = follow[0][0] if follow else self._last[-1][0]
        gap = "" if self._at_line_start else LINE_END
        self._put(f"{gap}{stamp}[the log was full here; the last lines follow]{LINE_END}")
        for stamp, line in follow:
            self._put(f"{stamp}{line}{LINE_END}")

    def _put(self, text: str) -> None:
        self._size += self._file.write(text)

    def _unwritable(self, error: OSError) -> HostError:
        return HostError(f"{self._path} cannot be written: {error.strerror}")
