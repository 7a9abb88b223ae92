"""Written registers have the sent value: with a gdbstub like QEMU's, and with worse ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.machine.dump_load.session import DumpSession
from harness.qemu.gdbstub.client import GdbClient
from harness.qemu.gdbstub.rsp import Decoder, PacketKind, encode
from tests.support.cpus import make_cpu

WIDTHS = {"fpc": 32}
WIDTHS |= {f"f{number}": 64 for number in range(16)}
WIDTHS |= {f"v{number}l": 64 for number in range(16)}
WIDTHS |= {f"v{number}": 128 for number in range(16, 32)}
NAMES = list(WIDTHS)
HEAP = 0x4021_7056_DA7F_0000  # what QEMU 10.0.13 had behind what it was sent


class Stub:
    """A gdbstub that has registers and nothing else.

    ``behind``: it takes the right halves from eight bytes behind what was sent, as QEMU does.
    ``deaf``: it says OK for this register, and keeps the value that it had.
    """

    def __init__(self, sock: socket.socket, *, behind: bool, deaf: str | None) -> None:
        self._sock, self._behind, self._deaf = sock, behind, deaf
        self.values = dict.fromkeys(NAMES, 0)

    def serve(self) -> None:
        decoder = Decoder()
        while data := self._sock.recv(4096):
            for packet in decoder.feed(data):
                if packet.kind is PacketKind.PACKET:
                    self._sock.sendall(b"+" + encode(self._answer(packet.payload.decode())))

    def _answer(self, packet: str) -> bytes:
        if packet.startswith("qSupported"):
            return b"qXfer:features:read+"
        if packet.startswith("qXfer"):
            return b"l" + _description()
        if packet.startswith("P"):
            number, _, data = packet[1:].partition("=")
            self._take(NAMES[int(number, 16)], bytes.fromhex(data))
            return b"OK"
        if packet.startswith("p"):
            name = NAMES[int(packet[1:], 16)]
            return self.values[name].to_bytes(WIDTHS[name] // 8, "big").hex().encode()
        return b""

    def _take(self, name: str, data: bytes) -> None:
        if name == self._deaf:
            return
        if self._behind and name.endswith("l"):
            data = (data + HEAP.to_bytes(8, "big"))[8:]
        self.values[name] = int.from_bytes(data[: WIDTHS[name] // 8], "big")


def _description() -> bytes:
    registers = "".join(f'<reg name="{name}" bitsize="{bits}"/>' for name, bits in WIDTHS.items())
    return f"<target>{registers}</target>".encode()


@contextmanager
def stub(*, behind: bool = True, deaf: str | None = None) -> Iterator[tuple[Stub, GdbClient]]:
    ours, theirs = socket.socketpair()
    peer = Stub(theirs, behind=behind, deaf=deaf)
    serving = threading.Thread(target=peer.serve)
    serving.start()
    try:
        yield peer, GdbClient(ours, Deadline(5), peer="QEMU 9.9.9")
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        serving.join()
        ours.close()
        theirs.close()


@pytest.mark.parametrize("behind", [True, False])
def test_a_right_half_arrives_whether_qemu_is_mended_or_not(behind):
    with stub(behind=behind) as (peer, gdb):
        gdb.write_register("v3l", 0x1122_3344_5566_7788)
        assert peer.values["v3l"] == 0x1122_3344_5566_7788


@pytest.mark.parametrize("behind", [True, False])
def test_every_vector_register_of_the_ipl_cpu_is_restored(behind):
    cpu = make_cpu(1)
    with stub(behind=behind) as (peer, gdb):
        session = SimpleNamespace(_cpus=(cpu,), _gdb=gdb)
        DumpSession._restore_vector_registers(session)
        values = peer.values
    assert [values[f"f{number}"] for number in range(16)] == list(cpu.fprs)
    assert [values[f"v{number}l"] for number in range(16)] == list(cpu.vxrs_low)
    assert [values[f"v{number}"] for number in range(16, 32)] == list(cpu.vxrs_high)
    assert 0 not in (*cpu.fprs, *(cpu.vxrs_low or ()), *(cpu.vxrs_high or ()))


@pytest.mark.parametrize("name", ["fpc", "f0", "f15", "v0l", "v15l", "v16", "v31"])
def test_a_register_that_qemu_does_not_take_is_an_error_that_names_both(name):
    digits = WIDTHS[name] // 4
    with (
        stub(deaf=name) as (_, gdb),
        pytest.raises(ProtocolError, match=rf"QEMU 9\.9\.9 .* register {name}, .* {0:0{digits}x}"),
    ):
        gdb.write_register(name, 0x1234)


def test_another_register_than_the_deaf_one_is_right():
    with stub(deaf="f0") as (peer, gdb):
        gdb.write_register("f1", 7)
        assert peer.values["f1"] == 7
