"""The QMP facade against a scripted QEMU."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from harness import clock
from harness.deadline import Deadline
from harness.errors import ProtocolError, QemuDied
from harness.qemu.monitor import MOST_WAITING, DiskFailed, Event, Monitor

GREETING = {"QMP": {"version": {"qemu": {"major": 7}, "package": ""}, "capabilities": []}}
SECONDS = 10

Answer = Callable[["Peer", dict[str, Any]], None]


class Peer:
    """QEMU's end: greets, and lets ``answer`` handle each command."""

    def __init__(self, answer: Answer) -> None:
        self.sock, self._peer = socket.socketpair()
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def send(self, **message: Any) -> None:
        self._peer.sendall(json.dumps(message).encode() + b"\r\n")

    def event(self, name: str, **data: Any) -> None:
        stamp = {"seconds": 1, "microseconds": 2}
        self.send(timestamp=stamp, event=name, **({"data": data} if data else {}))

    def raw(self, data: bytes) -> None:
        self._peer.sendall(data)

    def hang_up(self) -> None:
        self._peer.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        with self._peer, suppress(OSError):
            self.send(**GREETING)
            for command in self._commands():
                if command["execute"] == "qmp_capabilities":
                    self.send(**{"return": {}})
                else:
                    self._answer(self, command)

    def _commands(self) -> Iterator[dict[str, Any]]:
        """Commands follow each other with nothing in between."""
        text = ""
        while data := self._peer.recv(65536):
            text += data.decode()
            while text:
                try:
                    command, end = json.JSONDecoder().raw_decode(text)
                except ValueError:
                    break
                yield command
                text = text[end:].lstrip()


def echo(peer: Peer, command: dict[str, Any]) -> None:
    peer.send(id=command["id"], **{"return": command.get("arguments", "done")})


@contextmanager
def monitored(
    answer: Answer = echo, on_event: Callable[[Event], None] | None = None
) -> Iterator[tuple[Monitor, Peer]]:
    clock.now()  # whose thread stays, once there is one
    threads = set(threading.enumerate())
    peer = Peer(answer)
    try:
        with Monitor(peer.sock, "m", on_event=on_event) as monitor:
            yield monitor, peer
    finally:
        peer.join()
    assert set(threading.enumerate()) <= threads


def test_a_command_is_answered():
    with monitored() as (monitor, _):
        assert monitor.execute("x", deadline=Deadline(SECONDS)) == "done"
        assert monitor.execute("x", {"a": [1]}, deadline=Deadline(SECONDS)) == {"a": [1]}
        assert not monitor.lost


def test_refusal_names_class_and_description():
    def refuse(peer: Peer, command: dict[str, Any]) -> None:
        peer.send(id=command["id"], error={"class": "GenericError", "desc": "no way"})

    with (
        monitored(refuse) as (monitor, _),
        pytest.raises(ProtocolError, match="refused jump: GenericError: no way"),
    ):
        monitor.execute("jump", deadline=Deadline(SECONDS))


def test_malformed_answer():
    def mumble(peer: Peer, command: dict[str, Any]) -> None:
        peer.send(id=command["id"], answer=42)

    with monitored(mumble) as (monitor, _), pytest.raises(ProtocolError, match="answered x with"):
        monitor.execute("x", deadline=Deadline(SECONDS))


def test_late_answers_do_not_confuse():
    late: list[dict[str, Any]] = []

    def delay(peer: Peer, command: dict[str, Any]) -> None:
        late.append(command)
        if len(late) == 2:
            for each in late:
                peer.send(id=each["id"], **{"return": each["execute"]})

    with monitored(delay) as (monitor, _):
        with pytest.raises(ProtocolError, match="did not answer first"):
            monitor.execute("first", deadline=Deadline(0.05))
        assert monitor.execute("second", deadline=Deadline(SECONDS)) == "second"


def test_events_are_taken_once_and_in_order():
    told: list[Event] = []
    with monitored(on_event=told.append) as (monitor, peer):
        for name in ("A", "B", "A", "C"):
            peer.event(name, of=name)
        found = monitor.wait_event(["C"], Deadline(SECONDS))
        assert found is not None
        assert found.data == {"of": "C"}
        first = monitor.wait_event(["A", "B"], Deadline(0))
        assert first is not None
        assert first.name == "A"
        rest = [monitor.wait_event(["A", "B"], Deadline(0)) for _ in range(3)]
        assert [event and event.name for event in rest] == ["B", "A", None]
        assert [event.name for event in told] == ["A", "B", "A", "C"]
        seconds = [event.seconds for event in told]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0


def test_a_guest_that_resets_for_ever_fills_no_memory_and_hides_no_end():
    with monitored() as (monitor, peer):
        for number in range(MOST_WAITING + 50):
            peer.event("RESET", number=number)
        peer.event("SHUTDOWN")
        assert monitor.wait_event(["SHUTDOWN"], Deadline(SECONDS)) is not None
        kept = []
        while event := monitor.wait_event(["RESET"], Deadline(0)):
            kept.append(event.data["number"])
        assert kept == list(range(MOST_WAITING))


def test_a_machine_that_stopped_for_a_disk_is_the_hosts_fault():
    told = {"device": "disk0", "operation": "write", "reason": "No space left on device"}
    with monitored() as (monitor, peer):
        peer.event("BLOCK_IO_ERROR", action="report", **told)
        assert monitor.wait_event(["BLOCK_IO_ERROR"], Deadline(SECONDS)) is not None
        peer.event("BLOCK_IO_ERROR", action="stop", nospace=True, **told)
        with pytest.raises(DiskFailed, match="disk0: No space left on device") as failed:
            monitor.wait_event(["SHUTDOWN"], Deadline(SECONDS))
        assert (failed.value.device, failed.value.no_space) == ("disk0", True)
        with pytest.raises(DiskFailed):
            monitor.check_disks()


def test_stop_and_resume_are_not_told():
    told: list[Event] = []
    with monitored(on_event=told.append) as (monitor, peer):
        for name in ("STOP", "RESUME", "STOPPED", "STOP"):
            peer.event(name)
        peer.event("STOP", why="with data")
        peer.event("END", text='"event": "STOP"}')
        end = monitor.wait_event(["END"], Deadline(SECONDS))
        assert end is not None
        assert end.data["text"] == '"event": "STOP"}'
        assert [event.name for event in told] == ["STOPPED", "STOP", "END"]


def test_messages_in_pieces():
    with monitored() as (monitor, peer):
        text = b'{"timestamp": {"seconds": 1, "microseconds": 1}, "event": "%b"}\r\n'
        for byte in text % b"STOP" + text % b"REAL":
            peer.raw(bytes([byte]))
        event = monitor.wait_event(["REAL", "STOP"], Deadline(SECONDS))
        assert event is not None
        assert event.name == "REAL"


def test_the_last_messages_come_before_the_end():
    with monitored() as (monitor, peer):
        peer.event("SHUTDOWN", guest=True)
        peer.hang_up()
        assert monitor.wait_event(["SHUTDOWN"], Deadline(SECONDS)) is not None
        with pytest.raises(QemuDied, match="'m' closed its QMP connection"):
            monitor.wait_event(["SHUTDOWN"], Deadline(SECONDS))
        assert monitor.lost
        with pytest.raises(QemuDied):
            monitor.execute("x", deadline=Deadline(SECONDS))


def test_end_during_a_command():
    def die(peer: Peer, command: dict[str, Any]) -> None:
        peer.hang_up()

    with monitored(die) as (monitor, _), pytest.raises(QemuDied):
        monitor.execute("x", deadline=Deadline(SECONDS))


def test_end_before_the_greeting():
    clock.now()  # whose thread stays, once there is one
    threads = set(threading.enumerate())
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(QemuDied), Monitor(ours, "m"):
        pytest.fail("connected to nobody")
    assert set(threading.enumerate()) <= threads


def test_no_greeting_in_time():
    ours, theirs = socket.socketpair()
    with theirs:
        monitor = Monitor(ours, "m")
        with pytest.raises(ProtocolError, match="did not greet"):
            monitor.wait_connected(Deadline(0.01))
        monitor.close()
        monitor.close()


def test_something_that_is_not_qmp():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"220 mail ready\r\n")
        with pytest.raises(ProtocolError, match="broke QMP"), Monitor(ours, "m"):
            pytest.fail("connected to a mailer")


def test_broken_json_later():
    with monitored() as (monitor, peer):
        peer.raw(b"{]\r\n")
        with pytest.raises(ProtocolError, match="broke QMP"):
            monitor.wait_event(["X"], Deadline(SECONDS))


def test_an_error_of_the_callback_is_told():
    def fail(event: Event) -> None:
        raise RuntimeError(event.name)

    with monitored(on_event=fail) as (monitor, peer):
        peer.event("A")
        with pytest.raises(RuntimeError, match="A"):
            monitor.wait_event(["B"], Deadline(SECONDS))


def test_silence_of_the_logs(capfd: pytest.CaptureFixture[str]):
    with monitored() as (monitor, peer):
        peer.hang_up()
        with pytest.raises(QemuDied):
            monitor.wait_event(["X"], Deadline(SECONDS))
    assert capfd.readouterr() == ("", "")
