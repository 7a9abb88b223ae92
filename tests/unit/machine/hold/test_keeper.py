"""A machine that is kept: what a person can ask, and what a stranger cannot do."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.deadline import Deadline
from harness.errors import EvidenceError, HostError, ProtocolError, QemuDied, UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.held import Held, System, When
from harness.machine.hold import keeper
from harness.machine.hold.client import ask
from harness.machine.hold.keeper import Keeper, Kept
from harness.progress import NoProgress
from harness.qemu.ram import GuestRam

OFFSET = 0x40000
NOTE = b"OSRELEASE=6.12\nKERNELOFFSET=40000\n"
AT = 0x8000


class Machine:
    """A machine at its end; ``died`` is what a look at its QEMU raises."""

    def __init__(self) -> None:
        self.died: Exception | None = None
        self.told: list[str] = []
        self.ram = GuestRam(1 << 20)
        head = (
            bytes.fromhex("0000000b") + len(NOTE).to_bytes(4, "big") + bytes(4) + b"VMCOREINFO\0\0"
        )
        self.ram.write(0xE0C, AT.to_bytes(8, "big"))
        self.ram.write(AT, head + NOTE)
        self.console = SimpleNamespace(tail=lambda count: tuple("abc"[-count:]))
        self.monitor = SimpleNamespace(execute=self._execute)

    def kept(self) -> Kept:
        return Kept(self, self.ram, System.DUMP, "stalled", lambda: {"HSA": {"released": False}})

    def check(self) -> None:
        if self.died is not None:
            raise self.died

    def human_command(self, line: str, deadline: Deadline) -> str:
        self.told.append(line)
        if match := re.match(r"gdbserver unix:([^,]+),", line):  # QEMU makes the socket
            self.stub = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.stub.bind(match[1])
        return f"done: {line}"

    def _execute(self, command: str, arguments: Any, *, deadline: Deadline) -> Any:
        if command == "no-such":
            raise ProtocolError("QEMU refused no-such")
        return [command, arguments]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def held(machine: Machine, tmp_path: Path, monkeypatch) -> Iterator[Callable[[], Held]]:
    """Keeps the machine in a thread; its result is the exception that ended it, or None."""
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.01)
    ended: list[Exception | None] = []

    def keep() -> None:
        try:
            Keeper(When.END, RunDirectory(tmp_path), NoProgress()).keep(machine.kept())
        except Exception as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=keep)
    thread.start()
    there = threading.Event()

    def wait() -> Held:
        deadline = Deadline(30)
        while not (tmp_path / "held.json").exists():
            assert not deadline.expired
            there.wait(0.01)
        return Held.load(tmp_path)

    yield wait
    machine.died = machine.died or QemuDied("gone")
    thread.join()
    assert len(ended) == 1
    assert not (tmp_path / "held.json").exists()


def test_a_person_asks_and_lets_the_machine_go(held, machine):
    found = held()
    assert (found.system, found.why, found.kernel_offset) == (System.DUMP, "stalled", OFFSET)
    assert machine.told == [f"gdbserver unix:{found.gdb},server=on,wait=off"]
    assert ask(found, ["firmware"]) == {"HSA": {"released": False}}
    assert ask(found, ["status"])["cpus"] == ["query-cpus-fast", None]
    assert ask(found, ["console", "2"]) == "b\nc"
    assert ask(found, ["console"]) == "a\nb\nc"
    assert ask(found, ["hmp", "info", "registers"]) == "done: info registers"
    assert ask(found, ["qmp", "query-status", '{"a": 1}']) == ["query-status", {"a": 1}]
    assert ask(found, ["release"]) == "the run continues"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "no command"),
        (["no-such"], "'no-such' is no command"),
        (["console", "many"], "no command"),
        (["hmp"], "no command"),
        (["qmp", "x", "[]"], "no JSON object"),
        (["qmp", "x", "{"], "no JSON object"),
        (["qmp", "no-such"], "QEMU refused no-such"),
    ],
)
def test_what_is_no_request_is_refused_and_the_machine_stays(held, words, why):
    with pytest.raises(UsageError, match=why):
        ask(held(), words)
    assert ask(held(), ["console", "1"]) == "c"


@pytest.mark.parametrize("sent", [b"", b"\n", b"{}\n", b"[3]\n", b"\xff\n", b"[" * 60_000])
def test_a_stranger_does_no_harm(held, sent):
    found = held()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(found.control)
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        answer = sock.recv(1 << 16)
    assert "JSON list of words" in json.loads(answer)["error"]
    assert ask(found, ["console", "1"]) == "c"


def test_the_death_of_qemu_ends_it(held, machine):
    found = held()
    machine.died = QemuDied("QEMU 'dump' ended on its own")
    deadline = Deadline(30)
    while Path(found.control).exists():
        assert not deadline.expired
    with pytest.raises(HostError, match="does not answer"):
        ask(found, ["status"])


def test_without_a_kept_machine_there_is_nothing_to_ask(tmp_path):
    with pytest.raises(UsageError, match="no machine of this run is kept") as caught:
        Held.load(tmp_path)
    assert "--hold" in (caught.value.hint or "")


def test_what_a_killed_run_has_left_is_no_machine(tmp_path):
    Held(2**22 + 1, System.DUMP, "stalled", "/x", "/y").save(RunDirectory(tmp_path))
    with pytest.raises(UsageError, match="has ended"):
        Held.load(tmp_path)


@pytest.mark.parametrize("gdb", ["| sh -c 'touch /tmp/x'", "localhost:1", "/a b", "/x\n!sh", ""])
def test_evidence_of_others_starts_no_command(tmp_path, gdb):
    Held(1, System.DUMP, "stalled", "/x", gdb).save(RunDirectory(tmp_path))
    with pytest.raises(EvidenceError, match=r"held\.json: gdb"):
        Held.load(tmp_path)
