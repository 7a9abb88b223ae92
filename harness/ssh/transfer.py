"""Files over SFTP, piece by piece: what is there under its name is complete.

Reference: draft-ietf-secsh-filexfer-02, which OpenSSH speaks.

An answer takes long on a busy host. So several pieces are written before the answer to the first
one has come, and large ones are read. paramiko waits for the answers to earlier writes only at a
write that it does not pipeline, so the last one is of that kind; otherwise errors would be lost
(paramiko 5.1 ``SFTPFile._write`` and ``_close``). Its ``prefetch`` is not used: its thread prints a
traceback if the connection ends.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from paramiko import SFTPClient, SFTPError, SFTPFile, SSHException

from harness.deadline import Deadline
from harness.host.fault import unusable
from harness.printable import printable
from harness.ssh.command import OUTPUT_LIMIT
from harness.ssh.errors import NotInTime, TransferFailed

NEW = ".zharness-new"  # the end of a file's name until it is complete

_PIECE = 1 << 15  # bytes to write at once: a server must take as many
_READ = 255 << 10  # bytes to read at once: OpenSSH sends as many (sftp-server.c), others fewer
_PERMISSIONS = 0o777


def put(
    sftp: SFTPClient, local: Path, remote: str, has_room: Callable[[str], bool], deadline: Deadline
) -> None:
    """Write ``local`` to the path ``remote``, with its permissions.

    ``has_room`` is asked whether the file system of a directory has free space. Raises
    TransferFailed, NotInTime; UsageError or HostError if ``local`` cannot be read; paramiko's
    SSHException or EOFError if the connection breaks.
    """
    what = f"{local} cannot be put to {printable(remote)}"
    new = remote + NEW
    with _reading(local) as source, _told(sftp, what), _removed_on_error(lambda: sftp.remove(new)):
        with sftp.open(new, "wb") as target:
            try:
                _send(target, _timely(_local_pieces(source, local), what, deadline))
            except OSError as error:
                if has_room(posixpath.dirname(remote) or "."):
                    raise
                raise TransferFailed(f"{what}: no space is left there") from error
        sftp.chmod(new, os.fstat(source.fileno()).st_mode & _PERMISSIONS)
        sftp.posix_rename(new, remote)


def get(sftp: SFTPClient, remote: str, local: Path, deadline: Deadline) -> None:
    """Write the file ``remote`` to ``local`` and nowhere else, whatever the server calls it.

    A file without a size (in /proc) may have ``OUTPUT_LIMIT`` bytes. Raises as ``put`` does.
    """
    what = f"{printable(remote)} cannot be gotten as {local}"
    new = local.with_name(local.name + NEW)
    with _told(sftp, what), sftp.open(remote, "rb") as source:
        size = source.stat().st_size or 0
        with _writing(new, local) as write:
            count = 0
            for piece in _timely(_remote_pieces(source, size), what, deadline):
                write(piece)
                count += len(piece)
            if count < size:
                raise TransferFailed(f"{what}: it ended after {count} of {size} bytes")
            if count > OUTPUT_LIMIT and not size:
                raise TransferFailed(f"{what}: it tells no size and has over {OUTPUT_LIMIT} bytes")


def _send(target: SFTPFile, pieces: Iterator[bytes]) -> None:
    """Write all ``pieces``; raises OSError if one of them was not written."""
    target.set_pipelined(True)
    last = b""
    for piece in pieces:
        target.write(last)
        last = piece
    target.set_pipelined(False)
    target.write(last)


def _timely(pieces: Iterator[bytes], what: str, deadline: Deadline) -> Iterator[bytes]:
    for piece in pieces:
        if deadline.expired:
            raise NotInTime(f"{what}: it was not done in {deadline.seconds:.0f} s")
        yield piece


def _remote_pieces(source: SFTPFile, size: int) -> Iterator[bytes]:
    """The first ``size`` bytes: a file that grows is taken as long as it was.

    Without a size, to its end, and a little more than ``OUTPUT_LIMIT`` at most.
    """
    source.MAX_REQUEST_SIZE = _READ
    left = size or OUTPUT_LIMIT + 1
    while left and (piece := source.read(min(_READ, left))):
        left -= len(piece)
        yield piece


def _local_pieces(source: BinaryIO, local: Path) -> Iterator[bytes]:
    while True:
        try:
            piece = source.read(_PIECE)
        except OSError as error:
            raise unusable(str(local), error) from error
        if not piece:
            return
        yield piece


@contextmanager
def _told(sftp: SFTPClient, what: str) -> Iterator[None]:
    """What the server refuses, as TransferFailed; what paramiko raises once it is gone, as is."""
    try:
        yield
    except (OSError, SFTPError) as error:
        channel = sftp.get_channel()
        if channel is None or channel.closed:
            raise
        said = getattr(error, "strerror", None) or str(error)
        raise TransferFailed(f"{what}: {printable(said)}") from error


@contextmanager
def _removed_on_error(remove: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError, EOFError, SSHException, SFTPError):
            remove()
        raise


@contextmanager
def _reading(local: Path) -> Iterator[BinaryIO]:
    try:
        source = local.open("rb")
    except OSError as error:
        raise unusable(str(local), error) from error
    with source:
        yield source


@contextmanager
def _writing(new: Path, local: Path) -> Iterator[Callable[[bytes], None]]:
    """What writes pieces to ``new``, which becomes ``local`` at the end, or is removed."""
    try:
        target = new.open("wb", buffering=0)
    except OSError as error:
        raise unusable(str(local), error) from error

    def write(piece: bytes) -> None:
        left = memoryview(piece)
        try:
            while left:
                left = left[target.write(left) :]
        except OSError as error:
            raise unusable(str(local), error) from error

    with _removed_on_error(lambda: new.unlink(missing_ok=True)):
        with target:
            yield write
        try:
            new.replace(local)
        except OSError as error:
            raise unusable(str(local), error) from error
