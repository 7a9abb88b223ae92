"""Drop QMP events that carry no information before the QMP client reads them.

QEMU sends STOP and RESUME at every stop of its gdbstub: 40,000 of them in the dump of a 512 MiB
guest. To parse them took about 200 microseconds for each stop, as long as everything else together.
To drop them unparsed takes a tenth of that. The gdbstub tells what stopped the guest, and the ends
that matter have other events: GUEST_PANICKED, SHUTDOWN, RESET.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress

UNTOLD_EVENTS = ("STOP", "RESUME")

_RECEIVE_BYTES = 65536
# QEMU writes compact JSON with the timestamp first; a quote inside of a string would be escaped
_UNTOLD = re.compile(rb'\{"timestamp": .*"event": "(?:%b)"\}\s*' % "|".join(UNTOLD_EVENTS).encode())


class EventSieve:
    """Owns the connected ``qemu`` socket and a thread that reads it; ``reader`` gets the rest."""

    def __init__(self, qemu: socket.socket, name: str) -> None:
        self._qemu = qemu
        self._lent: int | None = None
        self.reader, self._writer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"QMP events {name}", daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Send to QEMU. Raises OSError when QEMU has gone."""
        lent, self._lent = self._lent, None
        if lent is None:
            self._qemu.sendall(data)
        else:
            sent = socket.send_fds(self._qemu, [data], [lent])
            self._qemu.sendall(data[sent:])

    def lend(self, fd: int) -> None:
        """Send a duplicate of ``fd`` with what is sent next (SCM_RIGHTS, unix(7))."""
        self._lent = fd

    def close(self) -> None:
        """End the connection and the thread. A second call does nothing."""
        for sock in (self._qemu, self.reader):  # the thread may wait for either
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._qemu.close()
        self.reader.close()

    def _run(self) -> None:
        rest = b""
        with self._writer, suppress(OSError):  # an error here is an end of file for the reader
            while data := self._qemu.recv(_RECEIVE_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                kept = b"".join(line + b"\n" for line in lines if not _UNTOLD.fullmatch(line))
                if kept:
                    self._writer.sendall(kept)
