r"""Record a session with a gdbstub, and replay it without QEMU.

A transcript is text, one packet a line: ``> payload`` went to the gdbstub, ``< payload`` came
from it. Bytes that are not printable ASCII, and the backslash, are written as ``\xNN``. Empty
lines and lines that start with ``#`` are comments. An interrupt is the payload ``\x03``.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from harness.errors import EvidenceError, ProtocolError
from harness.qemu.gdbstub import rsp
from harness.qemu.gdbstub.client import TRACE_RECEIVED, TRACE_SENT
from harness.qemu.gdbstub.rsp import Decoder, PacketKind

Line = tuple[bytes, bytes]  # direction, payload

_UNPRINTABLE = re.compile(rb"[^ -~]|\\")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_DIRECTIONS = (TRACE_SENT, TRACE_RECEIVED)
_NO_ACK = b"QStartNoAckMode"


def format_line(direction: bytes, payload: bytes) -> str:
    """One line of a transcript, without its line end."""
    text = _UNPRINTABLE.sub(lambda match: b"\\x%02x" % match[0][0], payload)
    return f"{direction.decode()} {text.decode()}"


def parse_line(line: str) -> Line | None:
    """Direction and payload; None for an empty line or a comment.

    Raises EvidenceError for anything that ``format_line`` does not write.
    """
    text = line.rstrip("\r\n")
    if not text or text.startswith("#"):
        return None
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        raise EvidenceError(f"not a line of a gdbstub transcript: {text!r}") from None
    direction, separator, escaped = raw[:1], raw[1:2], raw[2:]
    payload = _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), escaped)
    if direction not in _DIRECTIONS or separator != b" " or format_line(direction, payload) != text:
        raise EvidenceError(f"not a line of a gdbstub transcript: {text!r}")
    return direction, payload


def load(path: Path) -> list[Line]:
    """Read a transcript. Raises EvidenceError if it is missing or damaged."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise EvidenceError(f"transcript {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvidenceError(f"transcript {path} cannot be read: not ASCII") from error
    return [parsed for line in lines if (parsed := parse_line(line)) is not None]


class Recorder:
    """Writes a transcript to ``file``; pass it to ``GdbClient(transcript=...)``."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, direction: bytes, payload: bytes) -> None:
        self._file.write(format_line(direction, payload) + "\n")


class ReplayPeer:
    """A scripted gdbstub: it expects the recorded packets and sends the recorded answers.

    ``sock`` is the client's end; its user closes it. If a client sends anything else, the
    connection is closed, and an error at the end of the ``with`` block names the expected packet.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._script = deque(lines)
        self._failure: str | None = None
        self.sock, self._peer = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="gdbstub replay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the session. Raises ProtocolError if it differs from the recording or ends early."""
        self.sock.close()
        self._thread.join()
        if self._failure is not None:
            raise ProtocolError(self._failure)
        if self._script and error is None:
            direction, payload = self._script[0]
            raise ProtocolError(
                f"the session ended before the transcript: {len(self._script)} lines are left, "
                f"first {format_line(direction, payload)!r}"
            )

    def _serve(self) -> None:
        decoder = Decoder()
        with self._peer as peer:
            try:
                self._answer(peer)
                while self._failure is None and (data := peer.recv(65536)):
                    self._take(peer, decoder, data)
            except ConnectionError:
                pass  # the client left early: lines are left
            except ProtocolError as error:
                self._failure = error.message

    def _take(self, peer: socket.socket, decoder: Decoder, data: bytes) -> None:
        for packet in decoder.feed(data):
            if packet.kind is PacketKind.PACKET:
                if decoder.acknowledge:
                    peer.sendall(b"+")
                payload = packet.payload
            elif packet.kind is PacketKind.INTERRUPT:
                payload = rsp.INTERRUPT
            else:
                continue
            self._match(payload)
            if self._failure is not None:
                return
            self._answer(peer)
            if payload == _NO_ACK:
                decoder.acknowledge = False

    def _match(self, payload: bytes) -> None:
        expected = self._script.popleft() if self._script else None
        if expected != (TRACE_SENT, payload):
            wanted = format_line(*expected) if expected else "the end"
            got = format_line(TRACE_SENT, payload)
            self._failure = f"the session left the transcript: {got!r} instead of {wanted!r}"

    def _answer(self, peer: socket.socket) -> None:
        while self._script and self._script[0][0] == TRACE_RECEIVED:
            peer.sendall(rsp.encode(self._script.popleft()[1]))
