"""A guest's console: logged whole, echoed line by line, and open to pexpect."""

from __future__ import annotations

import codecs
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pexpect
from pexpect.spawnbase import SpawnBase

from harness.errors import HostError

if TYPE_CHECKING:
    _Spawn = SpawnBase[str]
else:
    _Spawn = SpawnBase  # generic in the type stubs only

UNREAD_LIMIT = 1 << 20  # characters kept for expect(); the log has everything
_TAIL_LINES = 500
_RECEIVE_BYTES = 65536
_LINE_END = "\n"


class Console(_Spawn):
    """Owns ``sock``, the harness's end of a console, and writes ``log``.

    A thread of its own reads, so the guest never waits for us: it writes the log, calls
    ``on_line`` with every complete line (from that thread), and keeps the last 1 MiB that
    nobody has expected yet. ``expect`` and ``sendline`` work as in pexpect, from any one other
    thread; at the end of QEMU ``expect`` raises ``pexpect.EOF``.

    A log line is ``+   12.345678 text``: seconds since ``started`` (``time.monotonic()``) when
    its first character came, then the line without its line end. A line not yet complete, such
    as a prompt, is in the log as far as it came.
    """

    def __init__(
        self,
        sock: socket.socket,
        log: Path,
        *,
        name: str,
        started: float,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(encoding="utf-8", codec_errors="replace", timeout=None)
        self.delayafterread = None  # pexpect would sleep after each read
        self.linesep = _LINE_END
        self.name = f"<console of {name}>"
        self.closed = False
        self._sock = sock
        self._on_line = on_line
        self._lines = _Lines(log, started)
        self._incoming = threading.Condition()
        self._unread = ""
        self._ended = False
        self._failure: Exception | None = None
        self._reader = threading.Thread(target=self._read, name=f"console {name}", daemon=True)
        self._reader.start()

    def tail(self, count: int) -> tuple[str, ...]:
        """The last ``count`` lines, oldest first, an incomplete one included."""
        return self._lines.tail(count)

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> str:
        """Up to ``size`` characters, as soon as there are any; pexpect calls this.

        Raises ``pexpect.TIMEOUT`` after ``timeout`` seconds, ``pexpect.EOF`` at the end, and
        HostError if the log could not be written.
        """
        with self._incoming:
            self._incoming.wait_for(self._has_news, timeout)
            if self._failure is not None:
                raise self._failure
            if self._unread:
                text, self._unread = self._unread[:size], self._unread[size:]
                return text
            if self._ended:
                self.flag_eof = True
                raise pexpect.EOF(f"{self.name} ended")
            raise pexpect.TIMEOUT(f"{self.name} said nothing for {timeout} s")

    def send(self, text: str) -> None:
        """Type ``text``. Nothing happens if the guest has gone; reading says so."""
        with suppress(OSError):
            self._sock.sendall(text.encode())

    def sendline(self, text: str = "") -> None:
        """Type ``text`` and a line end."""
        self.send(text + self.linesep)

    def isalive(self) -> bool:
        """Whether more can come."""
        return not self._ended

    def close(self) -> None:
        """Stop reading and complete the log. Raises what the reading thread ran into."""
        if self.closed:
            return
        self.closed = True
        with suppress(OSError):  # the guest may have gone already
            self._sock.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._lines.close()
        self._sock.close()
        if self._failure is not None:
            raise self._failure

    def _read(self) -> None:
        """The reading thread. Whatever happens to the log, the guest must not be held up."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        ended = False
        while not ended:
            try:
                data = self._sock.recv(_RECEIVE_BYTES)
            except OSError:
                data = b""
            ended = not data
            text = decoder.decode(data, final=ended)
            self._keep(text, ended)

    def _keep(self, text: str, ended: bool) -> None:
        try:
            for line in self._lines.feed(text, ended):
                if self._on_line is not None and self._failure is None:
                    self._on_line(line)
        except Exception as error:  # whatever on_line raises belongs to the other thread
            self._failure = self._failure or error
        with self._incoming:
            self._unread = (self._unread + text)[-UNREAD_LIMIT:]
            self._ended = ended
            self._incoming.notify_all()

    def _has_news(self) -> bool:
        return bool(self._unread) or self._ended or self._failure is not None


class _Lines:
    """Cuts text into lines, writes them to ``log`` as they grow, and remembers the last ones."""

    def __init__(self, log: Path, started: float) -> None:
        self._started = started
        self._path = log
        self._lock = threading.Lock()
        self._current = ""
        self._at_line_start = True
        self._last: deque[str] = deque(maxlen=_TAIL_LINES)
        try:
            self._file: TextIO = log.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def feed(self, text: str, ended: bool) -> list[str]:
        """Take ``text``; returns the lines that it completes. ``ended``: nothing follows."""
        text = text.replace("\r", "")
        if ended and (self._current + text) and not text.endswith(_LINE_END):
            text += _LINE_END
        pieces = text.split(_LINE_END)
        self._write(pieces)
        lines = []
        with self._lock:
            for piece in pieces[:-1]:
                lines.append(self._current + piece)
                self._current = ""
            self._current += pieces[-1]
            self._last.extend(lines)
        return lines

    def tail(self, count: int) -> tuple[str, ...]:
        with self._lock:
            lines = [*self._last, *filter(None, [self._current])]
        return tuple(lines[max(0, len(lines) - count) :])

    def close(self) -> None:
        with suppress(OSError):  # what could not be written was told before
            self._file.close()

    def _write(self, pieces: list[str]) -> None:
        """``pieces`` are what line ends separate; the last one may grow later."""
        stamp = f"+{time.monotonic() - self._started:12.6f} "
        try:
            for number, piece in enumerate(pieces):
                if number > 0:
                    if self._at_line_start:  # an empty line has its time, too
                        self._file.write(stamp)
                    self._file.write(_LINE_END)
                    self._at_line_start = True
                if piece and self._at_line_start:
                    self._file.write(stamp)
                    self._at_line_start = False
                self._file.write(piece)
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> HostError:
        return HostError(f"{self._path} cannot be written: {error.strerror}")
