from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.deadline import Deadline
from harness.ssh.command import OUTPUT_LIMIT, Completed
from harness.ssh.errors import ConnectionLost, NotInTime, TooMuchOutput
from tests.support.guests.sshd import (
    SECONDS,
    dies,
    echoes,
    never_ends,
    never_stops,
    prints,
)


def test_a_command_returns_its_status_and_both_outputs(serving, connected):
    connection = connected(serving(commands={"ls": prints(b"out\n", b"err\n", 2)}))
    assert connection.run("ls", Deadline(SECONDS)) == Completed(2, b"out\n", b"err\n")


def test_commands_get_their_input(serving, connected):
    connection = connected(serving(commands={"cat": echoes}))
    data = bytes(range(256)) * 20_000  # more than a window of 2 MiB
    assert connection.run("cat", Deadline(SECONDS), data) == Completed(0, data, b"")
    assert connection.run("cat", Deadline(SECONDS)) == Completed(0, b"", b"")


def test_a_command_may_leave_its_input(serving, connected):
    connection = connected(serving(commands={"true": prints(b"done")}))
    done = connection.run("true", Deadline(SECONDS), bytes(5 << 20))
    assert done == Completed(0, b"done", b"")


def test_a_full_window_of_errors_stops_nobody(serving, connected):
    connection = connected(serving(commands={"make": prints(b"out", bytes(6 << 20))}))
    assert connection.run("make", Deadline(SECONDS)) == Completed(0, b"out", bytes(6 << 20))


def test_one_connection_carries_many_commands(serving, connected):
    connection = connected(serving(commands={str(n): prints(b"%d" % n) for n in range(100)}))
    assert [connection.run(str(n), Deadline(SECONDS)).stdout for n in range(100)] == [
        b"%d" % n for n in range(100)
    ]


def test_a_command_that_a_signal_ended_has_no_status(serving, connected):
    connection = connected(serving(commands={"kill $$": prints(b"", status=None)}))
    assert connection.run("kill $$", Deadline(SECONDS)).status is None
    assert connection.alive


def test_an_output_without_an_end_is_an_error(serving, connected):
    sshd = serving(commands={"yes": never_stops, "true": prints(b"")})
    connection = connected(sshd)
    with pytest.raises(TooMuchOutput, match="'yes' printed more than 8 MiB"):
        connection.run("yes", Deadline(SECONDS))
    assert connection.run("true", Deadline(SECONDS)).status == 0


def test_as_much_output_as_is_allowed_is_kept(serving, connected):
    connection = connected(serving(commands={"cat": prints(bytes(OUTPUT_LIMIT))}))
    assert len(connection.run("cat", Deadline(SECONDS)).stdout) == OUTPUT_LIMIT


def test_a_command_that_does_not_end_is_too_late_and_others_follow(serving, connected):
    connection = connected(serving(commands={"sleep": never_ends, "true": prints(b"")}))
    with pytest.raises(NotInTime, match="'sleep' did not end in 0 s"):
        connection.run("sleep", Deadline(0.1))
    assert connection.run("true", Deadline(SECONDS)).status == 0


def test_a_server_that_dies_in_the_middle_is_a_lost_connection(serving, connected):
    connection = connected(serving(commands={"panic": dies}))
    with pytest.raises(ConnectionLost, match="'panic'"):
        connection.run("panic", Deadline(SECONDS))
    with pytest.raises(ConnectionLost, match="'true'"):
        connection.run("true", Deadline(SECONDS))
    assert not connection.alive


def test_a_server_that_says_nothing_costs_the_connection(serving, connected, monkeypatch):
    monkeypatch.setattr("harness.ssh.connection.GRACE_SECONDS", 0.1)
    stay = threading.Event()
    sshd = serving()
    connection = connected(sshd)
    # as if the machine stood still: its thread answers no request for a channel any more
    sshd.transports[0]._handler_table.clear()
    monkeypatch.setattr(sshd.transports[0].packetizer, "read_message", lambda: stay.wait())
    with pytest.raises((NotInTime, ConnectionLost)):
        connection.run("true", Deadline(0.1))
    stay.set()


def test_the_caller_chooses_how_to_wait(serving, connected):
    waited = []

    def play(ended, deadline):
        while not ended(0.01) and not deadline.expired:
            pass
        waited.append(True)

    connection = connected(serving(commands={"true": prints(b"")}), wait=play)
    assert len(waited) == 1  # for the login
    connection.run("true", Deadline(SECONDS))
    assert len(waited) == 2


def test_who_waits_may_give_up_and_the_connection_ends(serving, connected):
    class MachineStopped(Exception):
        pass

    def play(ended, deadline):
        if not ended(0.5):
            raise MachineStopped

    connection = connected(serving(commands={"sleep": never_ends}), wait=play)
    with pytest.raises(MachineStopped):
        connection.run("sleep", Deadline(SECONDS))
    assert not connection.alive


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.text(max_size=200))
def test_messages_are_one_line_whatever_the_command_is(serving_once, text: str):
    # the connection may be closed with the first that is late
    with pytest.raises((NotInTime, ConnectionLost)) as raised:
        serving_once.run(text, Deadline(0.0))
    assert raised.value.message.isprintable()


@pytest.fixture
def serving_once(serving, connected):
    return connected(serving())
