"""An SSH server on this host, in which everything can go wrong on purpose.

::

    with Sshd(tmp_path, key.public) as sshd:
        SshConnection.open(*sshd.address, Login("root", key_file, sshd.host_key.public), deadline)

It runs no commands: ``commands`` says what the server does at each one.
"""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
from paramiko import Channel, SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface

from harness.closing import Closing
from harness.ssh.keys import KeyPair, public_key

if TYPE_CHECKING:
    from typing_extensions import Buffer

Program = Callable[[Channel], None]
SECONDS = 30.0  # no step of a test takes so long


def prints(out: bytes, err: bytes = b"", status: int | None = 0) -> Program:
    """A command that prints and ends; without a status a signal has ended it."""

    def program(channel: Channel) -> None:
        channel.sendall(out)
        channel.sendall_stderr(err)
        if status is not None:
            channel.send_exit_status(status)

    return program


def echoes(channel: Channel) -> None:
    """``cat``."""
    while piece := channel.recv(1 << 16):
        channel.sendall(piece)
    channel.send_exit_status(0)


def never_stops(channel: Channel) -> None:
    """``yes``."""
    with suppress(OSError):
        while True:
            channel.sendall(b"y\n" * 4096)


def never_ends(channel: Channel) -> None:
    """``sleep infinity``, until the client hangs up."""
    channel.status_event.wait(SECONDS)


def dies(channel: Channel) -> None:
    """The whole server ends while the command runs."""
    channel.sendall(b"half")
    channel.get_transport().close()


@dataclass
class Sshd(Closing):
    """The server; files are below ``root``, which has room for ``capacity`` bytes in one file."""

    root: Path
    user_key: str  # a line
    commands: Mapping[str, Program] = field(default_factory=dict)
    host_key: KeyPair = field(default_factory=KeyPair.make)
    silent: bool = False  # accepts, and never speaks
    hangs_up: bool = False  # accepts, and ends
    capacity: int | None = None
    dies_after: int | None = None  # bytes of a file, written or read

    def __post_init__(self) -> None:
        self.typed: list[bytes] = []  # what shells have got
        self.news = threading.Condition()
        self.transports: list[paramiko.Transport] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, name="sshd", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()
        return host, port

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(SECONDS)
        for transport in self.transports:
            transport.close()
        for sock in self._sockets:
            sock.close()

    def wait_typed(self, text: bytes) -> bool:
        """Whether shells get ``text``."""
        with self.news:
            return self.news.wait_for(lambda: text in b"".join(self.typed), SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self.hangs_up:
                sock.close()
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            if not self.silent:
                self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        transport = _Transport(sock)
        self.transports.append(transport)
        transport.add_server_key(paramiko.Ed25519Key(file_obj=io.StringIO(self.host_key.private)))
        transport.set_subsystem_handler("sftp", SFTPServer, _Files, self, transport)
        with suppress(paramiko.SSHException, EOFError):
            transport.start_server(threading.Event(), _Session(self))


class _Transport(paramiko.Transport):
    """Starts programs only when the client has been told that they start, as OpenSSH does."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.starting: list[threading.Thread] = []

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]
        if data.asbytes().startswith(paramiko.common.cMSG_CHANNEL_SUCCESS):
            while self.starting:
                self.starting.pop().start()


class _Session(paramiko.ServerInterface):
    def __init__(self, sshd: Sshd) -> None:
        self._sshd = sshd

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        right = username == "root" and key == public_key(self._sshd.user_key)
        return paramiko.common.AUTH_SUCCESSFUL if right else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_pty_request(self, channel: Channel, *_: object) -> bool:
        return True

    def check_channel_window_change_request(
        self, channel: Channel, width: int, height: int, *_: object
    ) -> bool:
        self._got(f"resize {width} {height}\n".encode())
        return True

    def check_channel_shell_request(self, channel: Channel) -> bool:
        return self._start(channel, self._listen)

    def check_channel_exec_request(self, channel: Channel, command: bytes) -> bool:
        text = command.decode()
        program = self._listen if text == "exec sh" else self._sshd.commands.get(text)
        return self._start(channel, program or prints(b"", b"not found\n", 127))

    def _listen(self, channel: Channel) -> None:
        """A shell that writes down what it gets, and answers with it."""
        while piece := channel.recv(1 << 16):
            self._got(piece)
            channel.sendall(piece)

    def _got(self, piece: bytes) -> None:
        with self._sshd.news:
            self._sshd.typed.append(piece)
            self._sshd.news.notify_all()

    def _start(self, channel: Channel, program: Program) -> bool:
        def run() -> None:
            with suppress(OSError, EOFError), channel:
                program(channel)

        transport = channel.get_transport()
        assert isinstance(transport, _Transport)
        transport.starting.append(threading.Thread(target=run, name="command", daemon=True))
        return True


class _Files(SFTPServerInterface):
    def __init__(self, _: object, sshd: Sshd, transport: paramiko.Transport) -> None:
        self._sshd, self._transport = sshd, transport

    def _at(self, path: str) -> Path:
        return self._sshd.root / path.lstrip("/")

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> SFTPHandle | int:
        try:
            descriptor = os.open(self._at(path), flags, 0o600)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
        handle = _Handle(flags, self._sshd, self._transport)
        mode = "wb" if flags & os.O_WRONLY else "rb"
        handle.readfile = handle.writefile = os.fdopen(descriptor, mode)  # type: ignore[attr-defined]
        return handle

    def stat(self, path: str) -> SFTPAttributes | int:
        try:
            return SFTPAttributes.from_stat(self._at(path).stat())
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    def chattr(self, path: str, attr: SFTPAttributes) -> int:
        SFTPServer.set_file_attr(str(self._at(path)), attr)
        return paramiko.sftp.SFTP_OK

    def remove(self, path: str) -> int:
        self._at(path).unlink()
        return paramiko.sftp.SFTP_OK

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        try:
            self._at(oldpath).replace(self._at(newpath))
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
        return paramiko.sftp.SFTP_OK


class _Handle(SFTPHandle):
    def __init__(self, flags: int, sshd: Sshd, transport: paramiko.Transport) -> None:
        super().__init__(flags)
        self._sshd, self._transport = sshd, transport

    def stat(self) -> SFTPAttributes:
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))  # type: ignore[attr-defined]

    def read(self, offset: int, length: int) -> bytes | int:
        self._perhaps_die(offset + length)
        return super().read(offset, length)

    def write(self, offset: int, data: Buffer) -> int:
        end = offset + len(bytes(data))
        self._perhaps_die(end)
        if self._sshd.capacity is not None and end > self._sshd.capacity:
            return paramiko.sftp.SFTP_FAILURE
        return super().write(offset, data)

    def _perhaps_die(self, end: int) -> None:
        if self._sshd.dies_after is not None and end > self._sshd.dies_after:
            self._transport.close()
