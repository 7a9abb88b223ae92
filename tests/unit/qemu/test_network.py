"""The port to a guest's SSH server: QEMU's options, and how QEMU tells the port."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.qemu.network import forwarded_port, ssh_port

SECONDS = 10
# of QEMU 7.2.22
TOLD = (
    "Hub -1 (n0):\r\n"
    "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[HOST_FORWARD]  17       127.0.0.1 42741       10.0.2.15    22     0     0\r\n"
)
CONNECTION = "  TCP[ESTABLISHED]   29       127.0.0.1 42742       10.0.2.15    22     0     0\r\n"


def test_the_port_is_where_qemu_tells_it():
    assert forwarded_port(TOLD) == 42741


def test_a_connection_is_no_forwarded_port():
    assert forwarded_port(TOLD.replace("HOST_FORWARD", "ESTABLISHED")) is None
    assert forwarded_port(CONNECTION + TOLD) == 42741


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", ""])
def test_an_impossible_port_is_none(port: str):
    assert forwarded_port(TOLD.replace("42741", port)) is None


@given(st.integers(1, 0xFFFF), st.integers(0, 9999), st.lists(st.text(), max_size=4))
def test_whatever_else_is_told_the_port_is_found(port: int, descriptor: int, lines: list[str]):
    line = f"  TCP[HOST_FORWARD] {descriptor:3} {'127.0.0.1':>15} {port:5} {'10.0.2.15':>15} 22 0 0"
    others = [text for text in lines if "HOST_FORWARD" not in text]
    assert forwarded_port("\n".join([*others, line, *others])) == port


@given(st.text())
@example("TCP[HOST_FORWARD]  17       0.0.0.0 42741       10.0.2.15    22     0     0")
def test_other_text_has_no_port(text: str):
    assert forwarded_port(text) is None


def monitor(answer: str) -> SimpleNamespace:
    def execute(command, arguments, *, deadline):
        assert (command, arguments) == ("human-monitor-command", {"command-line": "info usernet"})
        return answer

    return SimpleNamespace(execute=execute)


def test_qemu_is_asked_for_the_port():
    assert ssh_port(monitor(TOLD), Deadline(SECONDS)) == 42741


def test_a_qemu_that_does_not_tell_the_port_breaks_its_protocol():
    with pytest.raises(ProtocolError, match="does not tell the port"):
        ssh_port(monitor("unknown command: 'info usernet'\r\n"), Deadline(SECONDS))
