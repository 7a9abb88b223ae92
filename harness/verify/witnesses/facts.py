"""Facts about the crashed system: plain values, passed between processes as JSON.

They are what the witnesses tell, read from the dump. Text is as the kernel has it; bytes that are
not UTF-8 are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Thread:
    """A task; ``start`` is in clock ticks (a hundredth of a second) after the boot.

    ``state`` is a letter, as in /proc/PID/stat.
    """

    pid: int
    comm: str
    state: str
    start: int
    kernel: bool


@dataclass(frozen=True)
class Threads:
    """All tasks that have a process id, and what the kernel has counted.

    ``count`` is the kernel's own count of tasks, ``forks`` of those since the boot, ``reclaimed``
    of pages that reclaim has freed (None: it does not count them). ``changing``: the lock of the
    list of tasks was held for writing.
    """

    tasks: tuple[Thread, ...]
    count: int
    forks: int
    reclaimed: int | None
    changing: bool


@dataclass(frozen=True)
class Text:
    """A module's code, compared with its file.

    ``compared`` is how many bytes were. ``differing`` are the first differences: section, offset in
    it, the bytes in the dump and in the file (hexadecimal). ``untold``: why nothing was compared.
    """

    compared: int
    differing: tuple[tuple[str, int, str, str], ...] = ()
    untold: str = ""


@dataclass(frozen=True)
class Module:
    """A loaded module; ``size`` is what it takes in memory, ``build_id`` hexadecimal.

    ``text`` is None if its file is not known.
    """

    name: str
    size: int
    state: str
    address: int
    build_id: str | None
    text: Text | None = None


@dataclass(frozen=True)
class Mount:
    """A mount of process 1's namespace; ``device`` is ``MAJOR:MINOR``.

    ``point`` is its path as process 1 sees it; None if it cannot reach the mount. ``root`` is the
    path of its root in its file system; None if that has a name of its own (nsfs).
    ``listed``: its superblock is in the list of all superblocks.
    """

    id: int
    parent: int
    device: str
    root: str | None
    point: str | None
    read_only: bool
    kind: str
    source: str
    listed: bool


@dataclass(frozen=True)
class Socket:
    """A listening socket that a process has open; see ``WitnessedSocket``."""

    protocol: str
    address: str
    inode: int
    task: str


@dataclass(frozen=True)
class CachedFile:
    """The page cache of a file that was found by its path; ``kind`` is its file system.

    ``pages`` has the number of each page in the cache, and the SHA-256 of its part of the file.
    ``entries`` are the pages in the XArray, also behind the file's end, ``counted`` is the kernel's
    count of them. ``elsewhere`` are entries of pages that are not in memory, but in swap.
    ``largest`` is the most pages that one folio has. ``sha256`` is that of the whole file; None if
    not all of its pages are in the cache. ``fault`` is why the file was not found or read.
    """

    path: str
    kind: str = ""
    size: int = 0
    pages: tuple[tuple[int, str], ...] = ()
    entries: int = 0
    counted: int = 0
    elsewhere: int = 0
    largest: int = 0
    sha256: str | None = None
    fault: str = ""


@dataclass(frozen=True)
class SystemFacts:
    """Everything that could be read; ``faults`` and ``unknown`` as in ``KernelFacts``."""

    threads: Threads | None = None
    modules: tuple[Module, ...] | None = None
    mounts: tuple[Mount, ...] | None = None
    sockets: tuple[Socket, ...] | None = None
    log: tuple[str, ...] | None = None
    files: tuple[CachedFile, ...] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


PARTS = {
    "threads": "tasks",
    "modules": "modules",
    "mounts": "mounts",
    "sockets": "sockets",
    "log": "kernel log",
    "files": "page cache",
}
"""Each part's field, in the order of reading, and what people call it."""
