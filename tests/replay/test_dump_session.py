"""Replay a real dump session without QEMU: every packet, answer and write must be the same."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.dump_tools.table import ZFCPDUMP
from harness.errors import HarnessError, ProtocolError
from harness.firmware.load import dump_load
from harness.machine.dump_load.console_watch import ConsoleWatch
from harness.machine.dump_load.session import DumpSession
from harness.qemu.gdbstub.client import GdbClient
from harness.s390x.cpu import CpuState
from harness.s390x.ipl import Subcode, fcp_block
from harness.s390x.wiring import DUMP_DISK
from tests.replay import tape
from tests.replay.notes import Notes
from tests.replay.record import HSA, MEMORY, SECONDS
from tests.support.qemu import gdb_transcript

RECORDINGS = sorted(path.parent for path in Path(__file__).parent.glob("*/session.json"))


def replay(directory: Path, packets: list, notes: Notes) -> tuple[str, dict]:
    """Run the session against the recording; returns how it ended and what it observed."""
    expected = json.loads((directory / "session.json").read_bytes())
    cpus = tuple(CpuState.from_json(cpu) for cpu in expected["cpus"])
    player = tape.Player(tape.load(directory / "session.tape"))
    with gdb_transcript.ReplayPeer(packets) as peer:
        qemu = player.wrap("qemu", "check")
        qemu.gdb = GdbClient(peer.sock, Deadline(SECONDS))
        qemu.console = SimpleNamespace(tail=lambda count: ())
        qemu.scheduling = lambda: None
        qemu.held = None
        qemu.monitor = player.wrap("monitor", "execute", "wait_event")
        ram = player.wrap("ram", "read", "write", size=MEMORY)
        old_memory = player.wrap("old", "read", size=MEMORY, restore=lambda ram, start: 0)
        session = DumpSession(
            qemu,
            ram,
            dump_load(ram, fcp_block(DUMP_DISK, dump=True), old_memory, cpus, HSA),
            old_memory,
            SimpleNamespace(cpus=cpus),
            HSA,
            notes,
            ConsoleWatch(ZFCPDUMP),
        )
        deadline = Deadline(SECONDS)
        session.load("ipl", deadline)
        session.take_over()
        ended = session.run(deadline, SECONDS)
    assert player.left == 0
    return ended.name, session.observations()


@pytest.mark.parametrize("directory", RECORDINGS, ids=lambda path: path.name)
def test_a_session_goes_as_it_went(directory):
    expected = json.loads((directory / "session.json").read_bytes())
    notes = Notes()
    ended, observed = replay(directory, gdb_transcript.load(directory / "session.gdb"), notes)
    assert ended == expected["ended"]
    assert json.loads(json.dumps(observed)) == expected["observations"]
    subcodes = [details["subcode"] for event, details in notes.events if event == "DIAG 308"]
    assert subcodes[0] == Subcode.STORE
    assert Subcode.REL_HSA in subcodes
    assert observed["status_stored"] == (1,)
    assert observed["sdias_requests"] > 0


@pytest.mark.parametrize("directory", RECORDINGS, ids=lambda path: path.name)
def test_a_session_that_goes_otherwise_is_noticed(directory):
    """The replay can fail: after a changed answer the session differs from the recording."""
    packets = gdb_transcript.load(directory / "session.gdb")
    stop = next(number for number, (_, payload) in enumerate(packets) if b"rwatch" in payload)
    packets[stop] = (packets[stop][0], b"T05thread:01;watch:1d0;")
    with pytest.raises((AssertionError, ProtocolError, HarnessError)):
        replay(directory, packets, Notes())
