"""Replay a real session of a system that was loaded from its own disk and requested its dump."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError, ProtocolError
from harness.firmware.load import ordinary_load
from harness.machine.system.session import SystemSession
from harness.qemu.gdbstub.client import GdbClient
from harness.s390x.ipl import BlockDevice, block_device, fcp_block
from harness.s390x.wiring import DUMP_DISK, SYSTEM_DISK
from tests.replay import tape
from tests.replay.notes import Notes
from tests.replay.record import MEMORY, SECONDS
from tests.support.qemu import gdb_transcript

RECORDINGS = sorted(path.parent for path in Path(__file__).parent.glob("*/system.json"))


def replay(directory: Path, packets: list, notes: Notes) -> SystemSession:
    expected = json.loads((directory / "system.json").read_bytes())
    player = tape.Player(tape.load(directory / "system.tape"))
    with gdb_transcript.ReplayPeer(packets) as peer:
        qemu = SimpleNamespace(check=lambda: None, console=SimpleNamespace(tail=lambda count: ()))
        qemu.gdb = GdbClient(peer.sock, Deadline(SECONDS))
        qemu.held = None
        qemu.monitor = player.wrap("monitor", "execute")
        ram = player.wrap("ram", "read", "write", size=MEMORY)
        firmware = ordinary_load(ram, fcp_block(SYSTEM_DISK, dump=False))
        session = SystemSession(qemu, ram, firmware, notes)
        deadline = Deadline(SECONDS)
        session.load("boot", deadline)
        session.begin()
        for _ in range(expected["played"]):
            assert session.play(deadline)
        session.settle(deadline)
        while session.play(deadline):
            pass
    assert player.left == 0
    return session


@pytest.mark.parametrize("directory", RECORDINGS, ids=lambda path: path.name)
def test_a_system_asks_for_its_dump_as_it_did(directory):
    notes = Notes()
    session = replay(directory, gdb_transcript.load(directory / "system.gdb"), notes)
    expected = json.loads((directory / "system.json").read_bytes())
    assert session.dump_requested
    assert session.ipl_block.hex() == expected["block"]
    assert block_device(session.ipl_block) == BlockDevice(DUMP_DISK, dump=True)
    subcodes = [details["subcode"] for event, details in notes.events if event == "DIAG 308"]
    assert subcodes == [6, 5, 4]
    assert ("machine reported", {"hsa_pages": 0}) in notes.events


@pytest.mark.parametrize("directory", RECORDINGS, ids=lambda path: path.name)
def test_a_system_that_asks_otherwise_is_noticed(directory):
    packets = gdb_transcript.load(directory / "system.gdb")
    stop = next(number for number, (_, payload) in enumerate(packets) if b"rwatch" in payload)
    packets[stop] = (packets[stop][0], b"T05thread:01;watch:1d0;")
    with pytest.raises((AssertionError, ProtocolError, HarnessError)):
        replay(directory, packets, Notes())
