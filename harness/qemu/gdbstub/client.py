"""Client of QEMU's gdbstub: registers, virtual memory, breakpoints and watchpoints.

References: "GDB Remote Serial Protocol" in the GDB manual; QEMU 7.2 gdbstub.c.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from xml.parsers import expat

from harness.deadline import Deadline
from harness.errors import ProtocolError, QemuDied
from harness.qemu.gdbstub import rsp
from harness.qemu.gdbstub.rsp import Decoder, Packet, PacketKind, StopReply
from harness.qemu.gdbstub.state import State, require

_NOTHING_THERE = re.compile(rb"E[0-9a-f]{2}")
TRACE_SENT, TRACE_RECEIVED = b">", b"<"
Trace = Callable[[bytes, bytes], None]

REPLY_SECONDS = 30.0  # a stopped QEMU answers in microseconds; beyond this it hangs
_RECEIVE_BYTES = 65536
_DEFAULT_PACKET_SIZE = 1024
_RIGHT_HALF = re.compile(r"v\d+l")  # of a vector register whose left half is a floating point one
_XFER_BYTES = 0x7F0
_INSTRUCTION_LEAST = 2  # bytes of the shortest instruction


class NotMapped(ProtocolError):
    """The guest's own translation tables map no memory there: this is the guest's fault."""


class StopKind(IntEnum):
    """What makes the machine stop; values are the protocol's Z packet types."""

    BREAKPOINT = 0
    WRITE = 2
    READ = 3
    ACCESS = 4


@dataclass(frozen=True)
class Stop:
    """A breakpoint or watchpoint on ``length`` bytes at virtual ``address``."""

    kind: StopKind
    address: int
    length: int


@dataclass(frozen=True)
class Register:
    """One register of the target description; ``number`` is the protocol's."""

    name: str
    number: int
    bits: int


class GdbClient:
    """A session with the gdbstub behind the connected ``sock``, which it owns.

    ``state`` says whether the machine is stopped or running. All but ``wait_stop`` and
    ``interrupt`` need it stopped (QEMU would take any other packet as a request to stop), and
    raise StateError if it is not. All methods raise QemuDied when the peer is gone, and
    ProtocolError when it refuses or its answer makes no sense.

    ``registers`` maps names of the target description (QEMU gdb-xml/s390*.xml: pswm, pswa,
    r0.., acr0.., cr0.., fpc, f0.., v0l.., v16..) to registers. ``peer`` is what messages call the
    QEMU whose registers these are.
    """

    def __init__(
        self,
        sock: socket.socket,
        deadline: Deadline,
        *,
        transcript: Trace | None = None,
        peer: str = "QEMU",
    ) -> None:
        self._sock, self._peer = sock, peer
        self._transcript = transcript
        self._decoder = Decoder()
        self._received: deque[Packet] = deque()
        self._owed = b""  # an ack, which travels with the next packet
        self.state = State.STOPPED
        self._stopped_cpu = 0
        self._packet_size = _DEFAULT_PACKET_SIZE
        self.registers: Mapping[str, Register] = MappingProxyType({})
        self._handshake(deadline)

    def close(self) -> None:
        self._sock.close()

    @require(State.STOPPED)
    def read_register(self, name: str) -> int:
        """The value of register ``name`` of the CPU that made the machine stop last, or CPU 0."""
        packet = f"p{self._register(name).number:x}"
        return int.from_bytes(_data(packet, self._request(packet)), "big")

    @require(State.STOPPED)
    def write_register(self, name: str, value: int) -> None:
        """Set register ``name`` of the CPU that made the machine stop last, or CPU 0.

        It is read back: what QEMU did not take as it was sent is a ProtocolError that names the
        register. QEMU 7.2 to 11.1 take v0l to v15l from eight bytes behind what was sent
        (target/s390x/gdbstub.c, cpu_write_vreg), so these are sent twice.
        """
        register = self._register(name)
        data = value.to_bytes(register.bits // 8, "big")
        if _RIGHT_HALF.fullmatch(name):
            data += data
        self._expect_ok(f"P{register.number:x}={data.hex()}")
        taken = self.read_register(name)
        if taken != value:
            digits = register.bits // 4
            raise ProtocolError(
                f"the gdbstub of {self._peer} was sent {value:0{digits}x} for register {name}, "
                f"and its value is now {taken:0{digits}x}",
                hint="this QEMU cannot be played on: use another version",
            )

    @require(State.STOPPED)
    def read_memory(self, address: int, size: int) -> bytes:
        """``size`` bytes at virtual ``address``, translated as that CPU would.

        Raises NotMapped if it cannot translate all of them.
        """
        limit = self._packet_size // 2
        if size <= limit:
            return self._read_piece(address, size)
        pieces = (
            self._read_piece(address + at, min(limit, size - at)) for at in range(0, size, limit)
        )
        return b"".join(pieces)

    @require(State.STOPPED)
    def translate_again(self, address: int) -> None:
        """Make QEMU forget the code that it has translated from the instruction there.

        That is what a write does, even of what is there already; address is virtual. Raises
        NotMapped.
        """
        code = self._read_piece(address, _INSTRUCTION_LEAST)
        self._expect_ok(f"M{address:x},{len(code):x}:{code.hex()}")

    @property
    def fd(self) -> int:
        """Readable when QEMU has said something."""
        return self._sock.fileno()

    @property
    def stopped_cpu(self) -> int:
        """The CPU that made the machine stop last."""
        return self._stopped_cpu

    @require(State.STOPPED)
    def insert(self, stop: Stop) -> None:
        """Make the machine stop there, on any CPU."""
        self._expect_ok(f"Z{stop.kind:d},{stop.address:x},{stop.length:x}")

    @require(State.STOPPED)
    def remove(self, stop: Stop) -> None:
        """Undo ``insert``."""
        self._expect_ok(f"z{stop.kind:d},{stop.address:x},{stop.length:x}")

    @require(State.STOPPED)
    def resume(self) -> None:
        """Let all CPUs run; ``wait_stop`` says when they stop."""
        self._send(b"c")
        self.state = State.RUNNING

    @require(State.STOPPED)
    def was_resumed(self) -> None:
        """QMP has let the machine run: after a migration QEMU has its disks again only so."""
        self.state = State.RUNNING

    @require(State.RUNNING)
    def wait_stop(self, deadline: Deadline) -> StopReply | None:
        """Why the machine stopped; None if it still runs at the deadline.

        After None the machine goes on running, and the next call waits for the same stop.
        """
        payload = self._receive(deadline)
        if payload is None:
            return None
        stop = rsp.parse_stop_reply(payload)
        self.state = State.STOPPED
        if stop.exited:
            raise QemuDied(f"QEMU ended with exit status {stop.exit_status}, says its gdbstub")
        if stop.thread:
            self._stopped_cpu = stop.thread - 1
        return stop

    @require(State.STOPPED)
    def step(self) -> StopReply:
        """Let the CPU that made the machine stop last execute one instruction.

        All others stand still. An interruption that is due is taken first, as on hardware.
        """
        self.begin_step()
        stop = self.wait_stop(Deadline(REPLY_SECONDS))
        if stop is None:
            raise ProtocolError(f"QEMU's gdbstub did not finish a step in {REPLY_SECONDS:.0f} s")
        return stop

    @require(State.STOPPED)
    def begin_step(self) -> None:
        """As ``step``; ``wait_stop`` says when it is done.

        It may never be done: an interruption may make the CPU wait for another one.
        """
        self._send(f"vCont;s:{self._stopped_cpu + 1:x}".encode())
        self.state = State.RUNNING

    @require(State.RUNNING)
    def interrupt(self) -> None:
        """Ask the running machine to stop; ``wait_stop`` gets the answer."""
        self._trace(TRACE_SENT, rsp.INTERRUPT)
        self._send_raw(rsp.INTERRUPT)

    def _handshake(self, deadline: Deadline) -> None:
        """Negotiate, and read the target description.

        multiprocess is not asked for, so thread ids are plain numbers. QEMU serves the
        registers beyond the core ones only to a client that has read their description.
        """
        features = self._request("qSupported", deadline).decode("ascii", "replace").split(";")
        for feature in features:
            name, _, value = feature.partition("=")
            if name == "PacketSize":
                self._packet_size = _number("qSupported", value)
        if "qXfer:features:read+" not in features:
            raise ProtocolError("QEMU's gdbstub offers no target description")
        # QEMU 7.2 does not know it and keeps on acknowledging
        if self._request("QStartNoAckMode", deadline) == b"OK":
            self._decoder.acknowledge = False
            self._owed = b""
        registers = _Registers(lambda annex: self._feature(annex, deadline)).read("target.xml")
        self.registers = MappingProxyType(registers)

    def _feature(self, annex: str, deadline: Deadline) -> bytes:
        data = b""
        while True:
            packet = f"qXfer:features:read:{annex}:{len(data):x},{_XFER_BYTES:x}"
            reply = self._request(packet, deadline)
            data += reply[1:]
            if reply[:1] == b"l":
                return data
            if reply[:1] != b"m" or len(reply) == 1:
                raise ProtocolError(f"QEMU's gdbstub answered {packet} with {reply!r}")

    def _register(self, name: str) -> Register:
        try:
            return self.registers[name]
        except KeyError:
            raise ProtocolError(f"QEMU's gdbstub offers no register {name}") from None

    def _read_piece(self, address: int, size: int) -> bytes:
        packet = f"m{address:x},{size:x}"
        reply = self._request(packet)
        if _NOTHING_THERE.fullmatch(reply):
            raise NotMapped(f"the guest has no {size} bytes at {address:#x}")
        data = _data(packet, reply)
        if len(data) != size:
            raise ProtocolError(f"QEMU's gdbstub answered {packet} with {len(data)} bytes")
        return data

    def _expect_ok(self, packet: str, deadline: Deadline | None = None) -> None:
        reply = self._request(packet, deadline)
        if reply != b"OK":
            raise _refused(packet, reply)

    def _request(self, packet: str, deadline: Deadline | None = None) -> bytes:
        self._send(packet.encode("ascii"))
        limit = deadline or Deadline(REPLY_SECONDS)
        reply = self._receive(limit)
        if reply is None:
            raise ProtocolError(
                f"QEMU's gdbstub did not answer {packet} in {limit.seconds:.0f} s",
                hint="QEMU hangs, or the host is overloaded",
            )
        return reply

    def _send(self, payload: bytes) -> None:
        self._trace(TRACE_SENT, payload)
        self._send_raw(rsp.encode(payload))

    def _send_raw(self, data: bytes) -> None:
        try:
            self._sock.settimeout(REPLY_SECONDS)
            self._sock.sendall(self._owed + data)
        except TimeoutError:
            raise ProtocolError("QEMU's gdbstub does not read what it is sent") from None
        except OSError as error:
            raise _gone() from error
        self._owed = b""

    def _receive(self, deadline: Deadline) -> bytes | None:
        """The payload of the next packet, or None at the deadline."""
        while True:
            while self._received:
                packet = self._received.popleft()
                if packet.kind is PacketKind.PACKET:
                    if self._decoder.acknowledge:
                        self._owed = b"+"
                    self._trace(TRACE_RECEIVED, packet.payload)
                    return packet.payload
                if packet.kind is PacketKind.CORRUPT:
                    self._send_raw(b"-")
                elif packet.kind is PacketKind.NAK:
                    raise ProtocolError("QEMU's gdbstub received a packet with errors")
            if not deadline.wait(self._receive_more):
                return None

    def _receive_more(self, seconds: float) -> bool:
        """Whether QEMU has sent something in so many seconds."""
        try:
            self._sock.settimeout(max(seconds, 1e-6))  # 0 would make the socket non-blocking
            data = self._sock.recv(_RECEIVE_BYTES)
        except TimeoutError:
            return False
        except OSError as error:
            raise _gone() from error
        if not data:
            raise _gone()
        self._received.extend(self._decoder.feed(data))
        return True

    def _trace(self, direction: bytes, payload: bytes) -> None:
        if self._transcript is not None:
            self._transcript(direction, payload)


class _Registers:
    """Reads a target description with all that it includes.

    QEMU uses the prefix xi: without declaring it, so a parser without namespaces has to do.
    """

    def __init__(self, load: Callable[[str], bytes]) -> None:
        self._load = load
        self._registers: dict[str, Register] = {}
        self._next_number = 0

    def read(self, annex: str) -> dict[str, Register]:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._element
        try:
            parser.Parse(self._load(annex), True)
        except (expat.ExpatError, KeyError, ValueError) as error:
            raise ProtocolError(
                f"the gdbstub's target description {annex} is damaged: {error}"
            ) from error
        return self._registers

    def _element(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "xi:include":
            self.read(attributes["href"])
        elif tag == "reg":
            number = int(attributes.get("regnum", self._next_number))
            name = attributes["name"]
            self._registers[name] = Register(name, number, int(attributes["bitsize"]))
            self._next_number = number + 1


def _data(packet: str, reply: bytes) -> bytes:
    """Decode hexadecimal data. An error reply has an odd number of digits: E and two more."""
    try:
        data = bytes.fromhex(reply.decode("ascii"))
    except ValueError:
        data = b""
    if not data:
        raise _refused(packet, reply)
    return data


def _number(packet: str, digits: str) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        raise ProtocolError(f"QEMU's gdbstub answered {packet} with {digits!r}") from None


def _refused(packet: str, reply: bytes) -> ProtocolError:
    said = reply.decode("ascii", "replace") or "nothing (not supported)"
    return ProtocolError(f"QEMU's gdbstub answered {packet} with {said}")


def _gone() -> QemuDied:
    return QemuDied("QEMU closed the connection of its gdbstub")
