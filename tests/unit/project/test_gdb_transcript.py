from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.deadline import Deadline
from harness.errors import EvidenceError, ProtocolError
from harness.qemu.gdbstub.client import GdbClient
from tests.support.qemu.gdb_script import HANDSHAKE, script
from tests.support.qemu.gdb_transcript import Recorder, ReplayPeer, format_line, load, parse_line

directions = st.sampled_from([b">", b"<"])


@given(directions, st.binary(max_size=60) | st.text("\\x09ab ", max_size=20).map(str.encode))
def test_lines_round_trip(direction: bytes, payload: bytes):
    line = format_line(direction, payload)
    assert line.isascii()
    assert line.isprintable()
    assert parse_line(line + "\n") == (direction, payload)


def test_lines_are_readable():
    assert format_line(b">", b"m80,8") == "> m80,8"
    assert format_line(b"<", b"\x03\\") == "< \\x03\\x5c"
    assert parse_line("# a comment") is None
    assert parse_line("\n") is None


@pytest.mark.parametrize("line", ["x m80", ">m80", "> \\x0", "> \\n", "> é", "> \x01"])
def test_other_lines_are_refused(line: str):
    with pytest.raises(EvidenceError, match="not a line of a gdbstub transcript"):
        parse_line(line)


def test_missing_file(tmp_path: Path):
    with pytest.raises(EvidenceError, match="cannot be read"):
        load(tmp_path / "none")


@pytest.mark.parametrize("no_ack", ["OK", ""])
def test_record_and_replay(tmp_path: Path, no_ack: str):
    lines = script(HANDSHAKE % no_ack + "> c\n< T05thread:01;\n> m80,2\n< 2401")
    record = io.StringIO()

    def work(gdb: GdbClient) -> bytes:
        gdb.resume()
        gdb.wait_stop(Deadline(5))
        return gdb.read_memory(0x80, 2)

    with ReplayPeer(lines) as peer:
        first = work(GdbClient(peer.sock, Deadline(5), transcript=Recorder(record)))
    path = tmp_path / "transcript"
    path.write_text("# recorded\n" + record.getvalue())
    assert load(path) == lines
    with ReplayPeer(load(path)) as peer:
        assert work(GdbClient(peer.sock, Deadline(5))) == first


def test_an_unfinished_session_is_told():
    lines = script(HANDSHAKE % "OK" + "> c\n< T05thread:01;")
    with (
        pytest.raises(ProtocolError, match="2 lines are left, first '> c'"),
        ReplayPeer(lines) as p,
    ):
        GdbClient(p.sock, Deadline(5))
