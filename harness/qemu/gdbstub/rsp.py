"""The GDB remote serial protocol's framing and stop replies, without any I/O.

References: "GDB Remote Serial Protocol" in the GDB manual (sections Overview, Stop Reply
Packets, Notification Packets); QEMU 7.2 gdbstub.c for what a stub really sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache

from harness.errors import ProtocolError

INTERRUPT = b"\x03"
SIGNAL_TRAP = 5  # of a stop reply: a breakpoint, a watchpoint, or the end of a step
MAX_PACKET = 1 << 20  # every peer here sends less than a hundredth of it

_ESCAPE = 0x7D  # "}"
_ESCAPE_FLIP = 0x20
_REPEAT = 0x2A  # "*"
_REPEAT_BIAS = 29
_REPEAT_MIN, _REPEAT_MAX = 3, 97  # so that the count is a printable character
_TO_ESCAPE = re.compile(rb"[#$}*]")
_SPECIAL = re.compile(rb"[}*]")
_PACKET, _NOTIFICATION, _END = b"$"[0], b"%"[0], b"#"


class PacketKind(Enum):
    """Kinds of units that two peers exchange."""

    PACKET = "packet"
    NOTIFICATION = "notification"
    ACK = "+"
    NAK = "-"
    INTERRUPT = "interrupt"
    CORRUPT = "corrupt"


@dataclass(frozen=True)
class Packet:
    """One unit of the protocol; ``payload`` is decoded, and empty for bare acks and interrupts.

    A CORRUPT packet's payload is what arrived, undecoded.
    """

    payload: bytes
    kind: PacketKind = PacketKind.PACKET


_BARE = {
    b"+"[0]: Packet(b"", PacketKind.ACK),
    b"-"[0]: Packet(b"", PacketKind.NAK),
    INTERRUPT[0]: Packet(b"", PacketKind.INTERRUPT),
}


def encode(payload: bytes) -> bytes:
    """``payload`` as a packet: escaped, framed, with its checksum."""
    body = _TO_ESCAPE.sub(_escape, payload)
    return b"$%b#%02x" % (body, sum(body) & 0xFF)


def _escape(match: re.Match[bytes]) -> bytes:
    return bytes((_ESCAPE, match[0][0] ^ _ESCAPE_FLIP))


class Decoder:
    """Cuts a byte stream, fed in arbitrary pieces, into packets.

    With ``acknowledge`` (how a session starts) a wrong checksum gives a CORRUPT packet, to be
    answered with a nak; without, nobody would send it again, and it raises ProtocolError.
    """

    def __init__(self, *, acknowledge: bool = True) -> None:
        self.acknowledge = acknowledge
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Take ``data``; yield what is complete.

        Raises ProtocolError for what no peer may send. The offending bytes are then consumed,
        so that the next call goes on behind them.
        """
        self._buffer += data
        while self._buffer:
            packet = self._next()
            if packet is None:
                return
            yield packet

    def _next(self) -> Packet | None:
        first = self._buffer[0]
        if first in _BARE:
            del self._buffer[:1]
            return _BARE[first]
        if first not in (_PACKET, _NOTIFICATION):
            del self._buffer[:1]
            raise ProtocolError(f"byte {first:#04x} between two packets of the gdbstub")
        end = self._buffer.find(_END, 1)
        if end < 0 or len(self._buffer) < end + 3:
            if len(self._buffer) > MAX_PACKET:
                self._buffer.clear()
                raise ProtocolError(f"a packet of the gdbstub is longer than {MAX_PACKET} bytes")
            return None
        body, checksum = bytes(self._buffer[1:end]), bytes(self._buffer[end + 1 : end + 3])
        del self._buffer[: end + 3]
        if checksum.lower() != b"%02x" % (sum(body) & 0xFF):
            if self.acknowledge and first == _PACKET:
                return Packet(body, PacketKind.CORRUPT)
            raise ProtocolError(f"wrong checksum {checksum!r} behind the packet {body!r}")
        kind = PacketKind.PACKET if first == _PACKET else PacketKind.NOTIFICATION
        return Packet(_decode(body), kind)


def _decode(body: bytes) -> bytes:
    """Undo escapes and run lengths."""
    if _SPECIAL.search(body) is None:
        return body
    out = bytearray()
    rest = iter(body)
    for byte in rest:
        if byte == _ESCAPE:
            escaped = next(rest, None)
            if escaped is None:
                raise ProtocolError(f"the packet {body!r} ends within an escape")
            out.append(escaped ^ _ESCAPE_FLIP)
        elif byte == _REPEAT:
            count = next(rest, 0) - _REPEAT_BIAS
            if not out or not _REPEAT_MIN <= count <= _REPEAT_MAX:
                raise ProtocolError(f"the packet {body!r} has a run length out of range")
            out += out[-1:] * count
        else:
            out.append(byte)
    return bytes(out)


class WatchKind(StrEnum):
    """Which kind of watchpoint a CPU ran into; values are the protocol's words."""

    WRITE = "watch"
    READ = "rwatch"
    ACCESS = "awatch"


_WATCH_KINDS = {kind.value: kind for kind in WatchKind}


@dataclass(frozen=True)
class StopReply:
    """Why a machine stopped.

    ``signal`` is a GDB signal number (``SIGNAL_TRAP``, 2 = paused from outside, 3 = shut down);
    ``thread`` the stopped CPU's thread id, CPU address + 1 in QEMU.
    ``watch_address`` is the watched virtual address. ``exit_status`` is set if the machine
    ended (W), ``signal`` too if something killed it (X).
    """

    signal: int | None = None
    thread: int | None = None
    watch_kind: WatchKind | None = None
    watch_address: int | None = None
    exit_status: int | None = None

    @property
    def trapped(self) -> bool:
        """Whether the machine stopped at what the client asked to be stopped at."""
        return self.signal == SIGNAL_TRAP

    @property
    def exited(self) -> bool:
        return self.exit_status is not None


@lru_cache(maxsize=256)  # one machine stops in few ways, but tens of thousands of times
def parse_stop_reply(payload: bytes) -> StopReply:
    """Parse an S, T, W or X packet. Raises ProtocolError for anything else.

    QEMU 7.2 sends ``T05thread:01;`` and ``T05thread:01;watch:8f;`` (gdbstub.c,
    gdb_vm_state_change); fields of no interest here are skipped.
    """
    try:
        text = payload.decode("ascii")
        number = _hex(text[1:3])
        match text[:1] if len(text) >= 3 else "":
            case "S" if len(text) == 3:
                return StopReply(signal=number)
            case "T":
                return _with_fields(number, text[3:])
            case "W" if text[3:4] in ("", ";"):
                return StopReply(exit_status=number)
            case "X" if text[3:4] in ("", ";"):
                return StopReply(signal=number, exit_status=number)
    except ValueError:
        pass
    raise ProtocolError(f"{payload!r} is not a stop reply")


def _with_fields(signal: int, fields: str) -> StopReply:
    thread: int | None = None
    watch_kind: WatchKind | None = None
    watch_address: int | None = None
    for field in filter(None, fields.split(";")):
        name, colon, value = field.partition(":")
        if not colon:
            raise ValueError(field)
        if name == "thread":
            thread = _thread(value)
        elif kind := _WATCH_KINDS.get(name):
            watch_kind, watch_address = kind, _hex(value)
    return StopReply(signal, thread, watch_kind, watch_address)


def _thread(value: str) -> int:
    """A thread id, with or without a process id: ``1f`` or ``p01.1f``."""
    if value.startswith("p"):
        process, _, value = value[1:].partition(".")
        _hex(process)
    return _hex(value)


def _hex(digits: str) -> int:
    if not re.fullmatch(r"[0-9a-fA-F]+", digits):
        raise ValueError(digits)
    return int(digits, 16)
