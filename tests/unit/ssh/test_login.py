from __future__ import annotations

import socket
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import UsageError
from harness.ssh.connection import SshConnection
from harness.ssh.errors import HostKeyDiffers, LoginRefused, NotYetUp
from harness.ssh.handshake import Login
from harness.ssh.keys import KeyPair
from tests.support.guests.sshd import SECONDS, Sshd, prints

HOST = "127.0.0.1"


def open_to(sshd: Sshd, key_file: Path, seconds: float = SECONDS, **other: str) -> SshConnection:
    login = Login(**{"user": "root", "key": key_file, "host_key": sshd.host_key.public} | other)
    return SshConnection.open(*sshd.address, login, Deadline(seconds))


def test_the_right_key_opens_the_right_server(serving, connected):
    with connected(serving(commands={"id -u": prints(b"0\n")})) as connection:
        assert connection.alive
        assert connection.run("id -u", Deadline(SECONDS)).stdout == b"0\n"
    assert not connection.alive


def test_small_messages_do_not_wait_for_each_other(serving, connected):
    connection = connected(serving())
    sock = connection._sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_another_key_is_refused(serving, tmp_path: Path):
    KeyPair.make().write(tmp_path / "other")
    with pytest.raises(LoginRefused, match=r"does not let root in with the key .*other$"):
        open_to(serving(), tmp_path / "other")


def test_another_user_is_refused(serving, key_file: Path):
    with pytest.raises(LoginRefused, match="does not let nobody in"):
        open_to(serving(), key_file, user="nobody")


def test_another_host_key_is_refused_before_the_login(serving, key_file: Path):
    sshd = serving()
    with pytest.raises(HostKeyDiffers, match=r"has the host key ssh-ed25519 SHA256:.* instead of"):
        open_to(sshd, key_file, host_key=KeyPair.make().public)
    assert not any(transport.is_authenticated() for transport in sshd.transports)


def test_a_host_key_of_another_type_is_another_key(serving, key_file: Path):
    line = "ecdsa-sha2-nistp256 " + ECDSA
    with pytest.raises(HostKeyDiffers, match="instead of ecdsa-sha2-nistp256"):
        open_to(serving(), key_file, host_key=line)


def test_a_port_on_which_nobody_listens_is_not_up_yet(serving, key_file: Path):
    sshd = serving()
    sshd.close()
    closed = socket.create_server(("127.0.0.1", 0))
    host, port = closed.getsockname()
    closed.close()
    login = Login("root", key_file, sshd.host_key.public)
    with pytest.raises(NotYetUp, match=r"nothing answers on 127\.0\.0\.1 port \d+: .*refused"):
        SshConnection.open(host, port, login, Deadline(SECONDS))


def test_a_server_that_never_speaks_is_not_up_yet(serving, key_file: Path):
    with pytest.raises(NotYetUp, match="the SSH server on"):
        open_to(serving(silent=True), key_file, 0.3)


def test_a_server_that_is_silent_for_too_long_is_not_up_yet(serving, key_file: Path):
    sshd = serving(silent=True)
    login = Login("root", key_file, sshd.host_key.public)
    with pytest.raises(NotYetUp, match=r"the SSH server on .* says nothing$"):
        SshConnection.open(HOST, sshd.address[1], login, Deadline(SECONDS), patience=0.1)


def test_a_server_that_hangs_up_is_not_up_yet(serving, key_file: Path):
    with pytest.raises(NotYetUp, match="gave no login: the connection ended before"):
        open_to(serving(hangs_up=True), key_file)


def test_a_key_that_is_none_is_a_mistake_of_the_user(serving, key_file: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="is no public key"):
        open_to(serving(), key_file, host_key="localhost")
    with pytest.raises(UsageError, match="No such file"):
        open_to(serving(), tmp_path / "none")


# a public key that no server here has
ECDSA = (
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmM"
    "KWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="
)
