"""A guest's console: logged, echoed line by line, and usable with pexpect."""

from __future__ import annotations

import codecs
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
from pexpect.spawnbase import SpawnBase

from harness.deadline import Deadline
from harness.qemu.console_log import LINE_END, LOG_LIMIT, ConsoleLog

if TYPE_CHECKING:
    _Spawn = SpawnBase[str]
else:
    _Spawn = SpawnBase  # generic in the type stubs only

UNREAD_LIMIT = 1 << 20  # characters kept for expect()
_RECEIVE_BYTES = 65536


class Console(_Spawn):
    """Owns ``sock``, the harness's end of a console, and writes ``log``.

    A thread of its own reads, so the guest never waits for the harness: it writes the log, calls
    ``on_line`` with every complete line (from that thread), and keeps the last 1 MiB that
    nobody has expected yet. ``expect`` and ``sendline`` work as in pexpect, from any one other
    thread; at the end of QEMU ``expect`` raises ``pexpect.EOF``.

    The log is a ``ConsoleLog``. It also has the part of an incomplete line, such as a prompt, that
    has come.
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
        self.linesep = LINE_END
        self.name = f"<console of {name}>"
        self.closed = False
        self._sock = sock
        self._on_line = on_line
        self._log = ConsoleLog(log, started)
        self._incoming = threading.Condition()
        self._unread = ""
        self._until: Deadline | None = None  # of the expect() under way
        self._looked = False
        self._ended = False
        self._failure: Exception | None = None
        self._hear: Callable[[str], str] | None = None
        self._reader = threading.Thread(target=self._read, name=f"console {name}", daemon=True)
        self._reader.start()

    def answer_with(self, hear: Callable[[str], str]) -> None:
        """From now on ``hear`` gets all text as it comes; what it returns is typed.

        It is called from the reading thread, so it must not wait, nor answer without end.
        """
        self._hear = hear

    def tail(self, count: int) -> tuple[str, ...]:
        """The last ``count`` lines, oldest first, an incomplete one included."""
        return self._log.tail(count)

    @property
    def limits(self) -> tuple[str, ...]:
        """Which output of the guest was not kept; lines for people."""
        beyond = self._log.beyond
        if not beyond:
            return ()
        return (
            f"the console log was cut at {LOG_LIMIT >> 20} MiB: {beyond} characters came after it, "
            "of which it has the last lines",
        )

    # nothing here awaits, so neither takes ``async_``
    def expect_list(  # type: ignore[override]
        self, patterns: list[Any], timeout: float | None = -1, window: int | None = -1, *_: bool
    ) -> int:
        """The last step of ``expect``."""
        self._begin(timeout)
        return super().expect_list(patterns, None, window)

    def expect_exact(  # type: ignore[override]
        self, patterns: Any, timeout: float | None = -1, window: int | None = -1
    ) -> int:
        self._begin(timeout)
        return super().expect_exact(patterns, None, window)

    def _begin(self, timeout: float | None) -> None:
        """Start our own deadline: pexpect uses the host's wall clock, which somebody may set."""
        seconds = self.timeout if timeout == -1 else timeout
        self._until = None if seconds is None else Deadline(seconds)
        self._looked = False

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> str:
        """Up to ``size`` characters, as soon as there are any; pexpect calls this in ``expect``.

        Raises ``pexpect.TIMEOUT`` when its time has passed, but not before the first read;
        ``pexpect.EOF`` at the end, and HostError if the log could not be written.
        """
        with self._incoming:
            if self._until is None:
                self._incoming.wait_for(self._has_news, timeout)
            elif self._looked and self._until.expired:
                raise pexpect.TIMEOUT(f"{self.name}: not found in {self._until.seconds} s")
            else:
                self._until.wait(lambda wait: self._incoming.wait_for(self._has_news, wait))
            self._looked = True
            if self._failure is not None:
                raise self._failure
            if self._unread:
                text, self._unread = self._unread[:size], self._unread[size:]
                return text
            if self._ended:
                self.flag_eof = True
                raise pexpect.EOF(f"{self.name} ended")
            raise pexpect.TIMEOUT(f"{self.name} said nothing more")

    def send(self, text: str) -> None:
        """Type ``text``. Nothing happens if the guest has gone; the next read reports that."""
        with suppress(OSError):
            self._sock.sendall(text.encode())

    def sendline(self, text: str = "") -> None:
        """Type ``text`` and a line end."""
        self.send(text + self.linesep)

    def isalive(self) -> bool:
        """Whether more output can come."""
        return not self._ended

    def close(self) -> None:
        """Stop reading and complete the log. Raises the error of the reading thread."""
        if self.closed:
            return
        self.closed = True
        with suppress(OSError):  # the guest may have gone already
            self._sock.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._log.close()
        self._sock.close()
        if self._failure is not None:
            raise self._failure

    def _read(self) -> None:
        """The reading thread. The guest must never wait, even if the log fails."""
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
            for line in self._log.feed(text, ended):
                if self._on_line is not None and self._failure is None:
                    self._on_line(line)
            if self._hear is not None and self._failure is None and (say := self._hear(text)):
                self.send(say)
        except Exception as error:  # whatever on_line raises belongs to the other thread
            self._failure = self._failure or error
        with self._incoming:
            self._unread = (self._unread + text)[-UNREAD_LIMIT:]
            self._ended = ended
            self._incoming.notify_all()

    def _has_news(self) -> bool:
        return bool(self._unread) or self._ended or self._failure is not None
