"""The client against scripted peers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from harness.deadline import Deadline
from harness.errors import ProtocolError, QemuDied
from harness.qemu.gdbstub.client import GdbClient, NotMapped, Register, Stop, StopKind
from harness.qemu.gdbstub.rsp import encode
from harness.qemu.gdbstub.state import State, StateError
from tests.support.qemu.gdb_script import HANDSHAKE, script
from tests.support.qemu.gdb_transcript import ReplayPeer


@contextmanager
def session(text: str, no_ack: str = "OK") -> Iterator[GdbClient]:
    with ReplayPeer(script(HANDSHAKE % no_ack + text)) as peer:
        yield GdbClient(peer.sock, Deadline(5))


@pytest.mark.parametrize("no_ack", ["OK", ""])
def test_handshake_reads_the_target_description(no_ack: str):
    with session("> p13\n< 0000002a", no_ack) as gdb:
        assert dict(gdb.registers) == {
            "pswm": Register("pswm", 0, 64),
            "pswa": Register("pswa", 1, 64),
            "acr0": Register("acr0", 18, 32),
            "acr1": Register("acr1", 19, 32),
        }
        assert gdb.read_register("acr1") == 42


def test_registers_are_read_and_written():
    text = "> P12=0000ffff\n< OK\n> p12\n< 0000ffff\n> p1\n< 0000000000010000"
    with session(text) as gdb:
        gdb.write_register("acr0", 0xFFFF)
        assert gdb.read_register("pswa") == 0x10000


def test_register_errors():
    with session("> p1\n< E14\n> P12=00000001\n< E22\n> p0\n< ") as gdb:
        with pytest.raises(ProtocolError, match="answered p1 with E14"):
            gdb.read_register("pswa")
        with pytest.raises(ProtocolError, match="answered P12=00000001 with E22"):
            gdb.write_register("acr0", 1)
        with pytest.raises(ProtocolError, match="answered p0 with nothing"):
            gdb.read_register("pswm")
        with pytest.raises(ProtocolError, match="no register r99"):
            gdb.read_register("r99")
        with pytest.raises(OverflowError):
            gdb.write_register("acr0", 1 << 32)


def test_memory_is_cut_to_packets():
    zeros = "00" * 2048
    text = f"> m1000,800\n< {zeros}\n> m1800,1\n< ff"
    with session(text) as gdb:
        assert gdb.read_memory(0x1000, 2049) == bytes(2048) + b"\xff"


def test_code_is_translated_again_when_its_bytes_are_written_as_they_are():
    with session("> m7fe000001230,2\n< eb8f\n> M7fe000001230,2:eb8f\n< OK") as gdb:
        gdb.translate_again(0x7FE0_0000_1230)
    with session("> m8,2\n< E14") as gdb, pytest.raises(NotMapped):
        gdb.translate_again(8)


def test_memory_errors():
    with session("> m0,8\n< E14\n> m0,2\n< 00\n> m0,1\n< zz") as gdb:
        with pytest.raises(NotMapped, match="no 8 bytes at 0x0"):
            gdb.read_memory(0, 8)
        with pytest.raises(ProtocolError, match="m0,2 with 1 bytes"):
            gdb.read_memory(0, 2)
        with pytest.raises(ProtocolError, match="m0,1 with zz"):
            gdb.read_memory(0, 1)


@pytest.mark.parametrize(("kind", "number"), [("BREAKPOINT", 0), ("WRITE", 2), ("READ", 3)])
def test_stops_are_inserted_and_removed(kind: str, number: int):
    stop = Stop(StopKind[kind], 0x86, 2)
    with session(f"> Z{number},86,2\n< OK\n> z{number},86,2\n< E22") as gdb:
        gdb.insert(stop)
        with pytest.raises(ProtocolError, match="E22"):
            gdb.remove(stop)


def test_resume_and_step_follow_the_stopped_cpu():
    text = "> vCont;s:1\n< T05thread:01;\n> c\n< T05thread:03;rwatch:86;\n"
    with session(text + "> vCont;s:3\n< T05thread:03;") as gdb:
        gdb.step()
        gdb.resume()
        stop = gdb.wait_stop(Deadline(5))
        assert stop is not None
        assert (stop.thread, stop.watch_address) == (3, 0x86)
        gdb.step()


def test_a_step_may_have_no_end():
    with session("> vCont;s:1\n> \\x03\n< T02thread:01;") as gdb:
        gdb.begin_step()
        assert gdb.wait_stop(Deadline(0)) is None
        gdb.interrupt()
        stop = gdb.wait_stop(Deadline(5))
        assert stop is not None
        assert not stop.trapped


BREAK = Stop(StopKind.BREAKPOINT, 0x86, 2)
OF_A_STOPPED_MACHINE: dict[str, Callable[[GdbClient], object]] = {
    "read_register": lambda gdb: gdb.read_register("pswa"),
    "write_register": lambda gdb: gdb.write_register("pswa", 1),
    "translate_again": lambda gdb: gdb.translate_again(0),
    "read_memory": lambda gdb: gdb.read_memory(0, 8),
    "insert": lambda gdb: gdb.insert(BREAK),
    "remove": lambda gdb: gdb.remove(BREAK),
    "resume": lambda gdb: gdb.resume(),
    "step": lambda gdb: gdb.step(),
    "begin_step": lambda gdb: gdb.begin_step(),
    "was_resumed": lambda gdb: gdb.was_resumed(),
}
OF_A_RUNNING_MACHINE: dict[str, Callable[[GdbClient], object]] = {
    "wait_stop": lambda gdb: gdb.wait_stop(Deadline(0)),
    "interrupt": lambda gdb: gdb.interrupt(),
}


def refused(call: Callable[[GdbClient], object], gdb: GdbClient) -> StateError:
    """Nothing reached the peer, or it had left the transcript."""
    with pytest.raises(StateError) as caught:
        call(gdb)
    return caught.value


@pytest.mark.parametrize("name", OF_A_STOPPED_MACHINE)
def test_calls_that_a_running_machine_refuses(name: str):
    with session("> c\n> \\x03\n< T02thread:01;") as gdb:
        gdb.resume()
        error = refused(OF_A_STOPPED_MACHINE[name], gdb)
        assert (error.state, error.required) == (State.RUNNING, State.STOPPED)
        assert error.message == f"{name} needs a stopped machine, but the machine is running"
        assert gdb.state is State.RUNNING
        gdb.interrupt()
        assert gdb.wait_stop(Deadline(5)) is not None


@pytest.mark.parametrize("name", OF_A_RUNNING_MACHINE)
def test_calls_that_a_stopped_machine_refuses(name: str):
    with session("> p1\n< 0000000000010000") as gdb:
        error = refused(OF_A_RUNNING_MACHINE[name], gdb)
        assert (error.state, error.required) == (State.STOPPED, State.RUNNING)
        assert gdb.read_register("pswa") == 0x10000


def test_every_public_call_has_its_state():
    calls = {name for name, value in vars(GdbClient).items() if callable(value) and name[0] != "_"}
    assert calls - {"close"} == OF_A_STOPPED_MACHINE.keys() | OF_A_RUNNING_MACHINE.keys()


@pytest.mark.parametrize("begin", ["resume", "begin_step"])
def test_a_machine_runs_until_it_stops(begin: str):
    sent = {"resume": "c", "begin_step": "vCont;s:1"}[begin]
    with session(f"> {sent}\n> \\x03\n< T02thread:01;") as gdb:
        assert gdb.state is State.STOPPED
        getattr(gdb, begin)()
        assert gdb.state is State.RUNNING
        assert gdb.wait_stop(Deadline(0)) is None
        assert gdb.state is State.RUNNING
        gdb.interrupt()
        assert gdb.state is State.RUNNING, "until it says that it has stopped"
        stop = gdb.wait_stop(Deadline(5))
        assert stop is not None
        assert stop.signal == 2
        assert gdb.state is State.STOPPED


def test_exit_is_the_end_of_qemu():
    with session("> c\n< W00") as gdb:
        gdb.resume()
        with pytest.raises(QemuDied, match="exit status 0"):
            gdb.wait_stop(Deadline(5))


def test_end_of_file_is_the_end_of_qemu():
    with pytest.raises(ProtocolError, match="left the transcript"), session("") as gdb:
        with pytest.raises(QemuDied):
            gdb.read_register("pswa")
        with pytest.raises(QemuDied):
            gdb.read_register("pswa")


def test_no_peer_at_all():
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(QemuDied):
        GdbClient(ours, Deadline(5))


def test_silence_is_a_protocol_error():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ProtocolError, match="did not answer qSupported"):
        GdbClient(ours, Deadline(0.01))


@pytest.mark.parametrize(
    "reply", [b"+$OK#00", b"+-", b"+garbage", b"+" + encode(b"PacketSize=zz"), encode(b"x")]
)
def test_nonsense_during_the_handshake(reply: bytes):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(reply)
        with pytest.raises(ProtocolError):
            GdbClient(ours, Deadline(0.05))


def test_a_corrupt_reply_is_asked_for_again():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"+$OK#00")
        with suppress(ProtocolError):
            GdbClient(ours, Deadline(0.05))
        assert theirs.recv(100) == encode(b"qSupported") + b"-"


def test_acks_travel_with_the_next_packet():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"+" + encode(b"qXfer:features:read+"))
        with suppress(ProtocolError):
            GdbClient(ours, Deadline(0.05))
        assert theirs.recv(100) == encode(b"qSupported") + b"+" + encode(b"QStartNoAckMode")


@pytest.mark.parametrize("xml", ["<reg", '<reg name="x"/>', '<reg name="x" bitsize="y"/>'])
def test_damaged_target_description(xml: str):
    text = HANDSHAKE % "OK"
    lines = [*script(text[: text.index("< m")]), (b"<", b"l" + xml.encode())]
    with ReplayPeer(lines) as peer, pytest.raises(ProtocolError, match=r"target\.xml is damaged"):
        GdbClient(peer.sock, Deadline(5))


def test_a_machine_that_qmp_resumed_runs_without_a_packet():
    with session("> \\x03\n< T02thread:01;") as gdb:
        gdb.was_resumed()
        gdb.interrupt()
        assert gdb.wait_stop(Deadline(5)) is not None
