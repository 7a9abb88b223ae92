"""A device state goes out of a QEMU and into another one, through a socket that QEMU is lent."""

from __future__ import annotations

import array
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.qemu.migration.transfer import load_state, save_state
from harness.qemu.monitor import Monitor

GREETING = {"QMP": {"version": {"qemu": {"major": 7}, "package": ""}, "capabilities": []}}
SECONDS, SOON = 10, 0.2
STATE = bytes(range(256)) * 1000


class FakeQemu:
    """Migrates to and from the socket that came with getfd; ``statuses`` are its answers."""

    def __init__(self, *statuses: dict[str, str], silent: bool = False) -> None:
        self.sock, self._peer = socket.socketpair()
        self._statuses = [*statuses] or [{"status": "completed"}]
        self._silent = silent
        self._lent: dict[str, socket.socket] = {}
        self._copies: list[threading.Thread] = []
        self._kept: socket.socket | None = None
        self.asked: list[str] = []
        self.loaded = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()
        self.finish()
        if self._kept is not None:
            self._kept.close()

    def finish(self) -> None:
        """Until every state has gone."""
        for copy in self._copies:
            copy.join()

    def _serve(self) -> None:
        with self._peer, suppress(OSError):
            self._peer.sendall(json.dumps(GREETING).encode() + b"\r\n")
            while True:
                data, fds, _, _ = socket.recv_fds(self._peer, 65536, 4)
                if not data:
                    return
                command = json.loads(data)
                answer = self._do(command, array.array("i", fds))
                reply = {"return": answer, **({"id": command["id"]} if "id" in command else {})}
                self._peer.sendall(json.dumps(reply).encode() + b"\r\n")

    def _do(self, command: dict[str, Any], fds: array.array[int]) -> Any:
        name = command["execute"]
        self.asked.append(name)
        if name == "getfd":
            (fd,) = fds
            self._lent[command["arguments"]["fdname"]] = socket.socket(fileno=fd)
        elif name.startswith("migrate") and "uri" in command["arguments"]:
            sock = self._lent.pop(command["arguments"]["uri"].removeprefix("fd:"))
            self._migrate(sock, incoming=name.endswith("incoming"))
        elif name == "query-migrate":
            return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return {}

    def _migrate(self, sock: socket.socket, incoming: bool) -> None:
        if self._silent:
            self._kept = sock
            return
        self._copies.append(threading.Thread(target=self._copy, args=(sock, incoming)))
        self._copies[-1].start()

    def _copy(self, sock: socket.socket, incoming: bool) -> None:
        with sock:
            if not incoming:
                sock.sendall(STATE)
                return
            while piece := sock.recv(4096):
                self.loaded += piece


@contextmanager
def monitored(qemu: FakeQemu) -> Iterator[Monitor]:
    with Monitor(qemu.sock, "fake") as monitor:
        yield monitor
    qemu.join()


def test_a_state_is_what_qemu_sends():
    qemu = FakeQemu({"status": "active"}, {"status": "completed"})
    with monitored(qemu) as monitor:
        assert save_state(monitor, Deadline(SECONDS)) == STATE
    wanted = ["migrate-set-capabilities", "getfd", "migrate", "query-migrate", "query-migrate"]
    assert qemu.asked[-5:] == wanted


def test_a_state_arrives_whole():
    qemu = FakeQemu()
    with monitored(qemu) as monitor:
        load_state(monitor, STATE, Deadline(SECONDS))
        qemu.finish()
    assert qemu.loaded == STATE


def test_a_migration_that_fails_tells_why():
    failed = {"status": "failed", "error-desc": "Unknown savevm section"}
    with (
        monitored(FakeQemu(failed)) as monitor,
        pytest.raises(ProtocolError, match="could not load a state: Unknown savevm section"),
    ):
        load_state(monitor, STATE, Deadline(SECONDS))


def test_a_migration_that_does_not_end_is_an_error():
    with (
        monitored(FakeQemu({"status": "active"})) as monitor,
        pytest.raises(ProtocolError, match="could not save its state: it is active"),
    ):
        save_state(monitor, Deadline(SOON))


def test_a_qemu_that_sends_nothing_is_an_error():
    with (
        monitored(FakeQemu(silent=True)) as monitor,
        pytest.raises(ProtocolError, match="did not save its state"),
    ):
        save_state(monitor, Deadline(SOON))
