"""Files over SFTP, piece by piece: what is there under its name is complete.

Reference: draft-ietf-secsh-filexfer-02, which OpenSSH speaks.

Every piece is waited for. paramiko can send several at once, but then it loses the errors of the
last ones (paramiko 5.1 ``SFTPFile._close``: it waits for no answer to a write).
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

_PIECE = 1 << 15  # bytes; a server must take requests of this size, and paramiko asks for no more
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
                for piece in _timely(_local_pieces(source, local), what, deadline):
                    target.write(piece)
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


def _timely(pieces: Iterator[bytes], what: str, deadline: Deadline) -> Iterator[bytes]:
    for piece in pieces:
        if deadline.expired:
            raise NotInTime(f"{what}: it was not done in {deadline.seconds:.0f} s")
        yield piece


def _remote_pieces(source: SFTPFile, size: int) -> Iterator[bytes]:
    """The first ``size`` bytes: a file that grows is taken as long as it was."""
    left = size or OUTPUT_LIMIT + 1
    while left and (piece := source.read(min(_PIECE, left))):
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
