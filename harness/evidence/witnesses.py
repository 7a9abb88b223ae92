"""What a running system said of itself just before it was crashed.

It is part of the evidence of the crash, so that a dump can be compared with it later. A field that
is None is about something that the system does not have, or does not tell.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from harness.evidence.names import WITNESSES
from harness.files.atomic import replace_text
from harness.files.json_file import as_model, read_object
from harness.files.json_text import to_text
from harness.files.plain_file import is_there

# the most of each kind that is recorded; a system has fewer
MAX_TASKS = 1 << 14
MAX_MODULES = 1 << 10
MAX_MOUNTS = 1 << 11
MAX_SOCKETS = 1 << 11
MAX_LINES = 1 << 10
MAX_FILES = 1 << 9
MAX_FILE_SIZE = 16 << 20  # bytes

_FIRST_NUMBER, _LINE = 1_000_000, len("1000000\n")  # of the stream that files are made of

Text = Annotated[str, Field(max_length=4096)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Count = Annotated[int, Field(ge=0, lt=1 << 64)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class WitnessedTask(_Part):
    """A thread, from /proc/PID/task/TID/stat; ``start`` is in clock ticks after the boot."""

    pid: Count
    comm: Text
    state: Annotated[str, Field(pattern="^[A-Za-z]$")]
    start: Count
    kernel: bool
    """It is a thread of the kernel (PF_KTHREAD)."""
    worker: bool = False
    """It is a worker of a work queue (PF_WQ_WORKER)."""


class Counters(_Part):
    """What the kernel had counted before its tasks were looked at.

    ``forks``: tasks since the boot (/proc/stat, ``processes``). ``threads``: tasks that there are
    (/proc/loadavg). ``reclaimed``: pages that reclaim has freed (/proc/vmstat, ``pgsteal_*``).
    """

    forks: Count
    threads: Count
    reclaimed: Count | None = None


class WitnessedModule(_Part):
    """A line of /proc/modules, and the build-id in /sys/module (hexadecimal)."""

    name: Name
    size: Count
    state: Name
    address: Count
    build_id: Annotated[str, Field(pattern="^([0-9a-f]{2})+$", max_length=128)] | None = None


class WitnessedMount(_Part):
    """A line of /proc/1/mountinfo; ``device`` is ``MAJOR:MINOR``."""

    id: Count
    parent: Count
    device: Annotated[str, Field(pattern="^[0-9]+:[0-9]+$", max_length=32)]
    root: Text
    point: Text
    read_only: bool
    kind: Name
    source: Text


class Protocol(StrEnum):
    """The files of /proc/net that are read."""

    TCP = "tcp"
    TCP6 = "tcp6"
    UNIX = "unix"


class WitnessedSocket(_Part):
    """A listening socket; ``address`` is ``ADDRESS:PORT``, or the path of a UNIX socket.

    An abstract path begins with ``@``. ``inode`` is that of the socket's file.
    """

    protocol: Annotated[Protocol, Field(strict=False)]
    address: Text
    inode: Count


class WitnessedFile(_Part):
    """A file that had just been written or read whole, so that it is in the page cache.

    ``offset`` is where its content begins in the stream that :func:`made_content` makes; None: it
    is no part of that.
    """

    path: Annotated[str, Field(min_length=1, max_length=4096, pattern="^/")]
    size: Annotated[int, Field(ge=0, le=MAX_FILE_SIZE)]
    sha256: Digest
    offset: Count | None = None


class Witnesses(_Part):
    """All of them. ``log`` and ``journal`` are the last lines of the kernel, with time stamps."""

    counters: Counters | None = None
    tasks: Annotated[list[WitnessedTask], Field(max_length=MAX_TASKS)] | None = None
    modules: Annotated[list[WitnessedModule], Field(max_length=MAX_MODULES)] | None = None
    mounts: Annotated[list[WitnessedMount], Field(max_length=MAX_MOUNTS)] | None = None
    sockets: Annotated[list[WitnessedSocket], Field(max_length=MAX_SOCKETS)] | None = None
    log: Annotated[list[Text], Field(max_length=MAX_LINES)] | None = None
    journal: Annotated[list[Text], Field(max_length=MAX_LINES)] | None = None
    files: Annotated[list[WitnessedFile], Field(max_length=MAX_FILES)] | None = None

    def save(self, directory: Path) -> None:
        """Write it to the directory of the crash."""
        replace_text(directory / WITNESSES, to_text(self.model_dump()) + "\n")

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """None if there are none; raises EvidenceError for a damaged record."""
        path = directory / WITNESSES
        return as_model(cls, read_object(path), path) if is_there(path) else None


def made_content(start: int, end: int) -> bytes:
    """The bytes from ``start`` to ``end`` of the stream that files are made of.

    It is ``1000000``, ``1000001``, ... each on a line of its own: what ``seq`` prints in
    images/system/witness. So no two pages are alike.
    """
    first, last = start // _LINE, -(-end // _LINE)
    lines = b"".join(b"%d\n" % (_FIRST_NUMBER + number) for number in range(first, last))
    return lines[start - first * _LINE : end - first * _LINE]
