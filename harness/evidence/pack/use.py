"""Use a packed run: its files are there while somebody uses it, and are removed again.

Whoever uses a run holds a shared lock (flock(2)) on its directory; who packs, restores or removes
files, an exclusive one. What a killed process has left, the next one uses and removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import EvidenceError, HostError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import (
    CRASH_DIRECTORY,
    DISK,
    DISK_BEFORE,
    DISK_COMMANDS,
    DISK_WRITES,
    DUMP,
    DUMP_DIRECTORY,
    DUMP_SYSTEM,
    RAM,
    REIPL_DIRECTORY,
    SUPERBLOCK,
    SYSTEM_IMAGE,
)
from harness.evidence.pack.recipe import Packed, PackedFile, Runs
from harness.evidence.pack.store import PAGE, PageStore
from harness.files import sparse
from harness.files.plain_file import is_there, require_own_directory, require_plain
from harness.host.fault import cannot_grow, no_space, unusable
from harness.progress import NoProgress, Progress

NAMES = frozenset(
    (
        *(DISK, DISK_BEFORE, DISK_WRITES, DISK_COMMANDS),
        *(f"{CRASH_DIRECTORY}/{name}" for name in (RAM, SYSTEM_IMAGE)),
        *(f"{DUMP_DIRECTORY}/{name}" for name in (DUMP, SUPERBLOCK, DUMP_SYSTEM)),
        *(f"{REIPL_DIRECTORY}/{name}" for name in (DUMP, SUPERBLOCK)),
    )
)
_UNFINISHED = ".unpacking"  # the end of the name of a file that is not whole yet
_ATTEMPTS = 100
_HINT = "copy the page store from a backup, or make the run again with zharness replay"

_Look = tuple[int, int, int, int] | None  # None: there is no file
_Looks = dict[Path, _Look]


@contextmanager
def restored(directory: Path, progress: Progress | None = None) -> Iterator[None]:
    """During a ``with`` block the run in ``directory`` has all its files, packed or not.

    Each restored file is compared with its digest. Raises EvidenceError, naming the file, if a pack
    is missing or damaged; HostError if there is no space, or the directory cannot be written.
    """
    paths = RunDirectory(directory)
    if not (is_there(paths.packed) or is_there(paths.run)):  # nobody packs it
        yield
        return
    with _opened(directory) as lock:
        looks = _all_there(directory, lock, progress or NoProgress())
        try:
            yield
        finally:
            if looks:
                _remove(directory, looks, lock)


def unpack(directory: Path, progress: Progress) -> int:
    """Restore the files of a packed run for good; returns how many. Raises as :func:`restored`."""
    with _opened(directory) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packed = _read(directory)
        _restore_missing(directory, packed, {}, progress)
        RunDirectory(directory).packed.unlink(missing_ok=True)
    return len(packed)


def unpack_into(directory: Path, into: Path, progress: Progress) -> None:
    """Restore the files of a packed run below ``into``; raises as :func:`restored`."""
    for name, file in _read(directory).items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _restore(directory, name, file, target, progress)


def _read(directory: Path) -> Mapping[str, PackedFile]:
    """What is packed; nothing if there is no packed.json."""
    paths = RunDirectory(directory)
    if not is_there(paths.packed):
        return {}
    for part in (paths.crash, paths.dump, paths.reipl):
        require_own_directory(part)
    files = Packed.read(paths.packed).files
    for name in files:
        if name not in NAMES:
            raise EvidenceError(f"{paths.packed}: {name!r} is no file that is packed")
    return files


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unusable(str(directory), error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _all_there(directory: Path, lock: int, progress: Progress) -> _Looks:
    """Restore what is missing; returns how all files look. Under the shared lock at the end."""
    checked: _Looks = {}
    for _ in range(_ATTEMPTS):
        fcntl.flock(lock, fcntl.LOCK_SH)
        packed = _read(directory)
        if all(is_there(directory / name) for name in packed):
            return _check(directory, packed, checked)
        # somebody else may remove the files again before the shared lock is there
        fcntl.flock(lock, fcntl.LOCK_EX)
        checked = _restore_missing(directory, packed, checked, progress)
    raise EvidenceError(f"{directory}: other processes remove its files again and again")


def _restore_missing(
    directory: Path, packed: Mapping[str, PackedFile], checked: _Looks, progress: Progress
) -> _Looks:
    """Under the exclusive lock; leaves nothing behind if it fails."""
    restored_here = []
    try:
        for name, file in packed.items():
            path = directory / name
            if not is_there(path):
                _restore(directory, name, file, path, progress)
                restored_here.append(path)
                checked[path] = _look(path)
        return _check(directory, packed, checked)
    except BaseException:
        for path in restored_here:
            _discard(path)
        raise


def _check(directory: Path, packed: Mapping[str, PackedFile], checked: _Looks) -> _Looks:
    """Compare the files that are there, and were not checked yet, with their digests."""
    found: _Looks = {}
    for name, file in packed.items():
        path = directory / name
        size = require_plain(path).st_size
        found[path] = _look(path)
        if checked.get(path) == found[path]:
            continue
        if size != file.size or sparse.digest(path) != file.digest:
            raise EvidenceError(
                f"{path}: is not the file that was packed", hint="move it away to get that one"
            )
    return found


def _look(path: Path) -> _Look:
    """What changes when somebody replaces or writes the file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_dev


def _remove(directory: Path, looks: _Looks, lock: int) -> None:
    """Remove what can be restored, unless somebody else uses it or has changed it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if not is_there(RunDirectory(directory).packed):  # unpacked for good meanwhile
        return
    for path, look in looks.items():
        if _look(path) == look:
            with suppress(OSError):  # the next one
                path.unlink()


def _restore(
    directory: Path, name: str, file: PackedFile, target: Path, progress: Progress
) -> None:
    packed = RunDirectory(directory).packed
    try:
        runs = file.decoded()
    except ValueError as error:
        raise EvidenceError(f"{packed}: {name}: {error}") from error
    store = PageStore.of_run(directory)
    if store is None:
        raise EvidenceError(
            f"{directory}: its pages are not there: neither beside the run nor above it is a"
            " page store",
            hint="look at it where the night has put it, or copy the page store of its series",
        )
    unfinished = target.with_name(target.name + _UNFINISHED)
    total = sum(runs.counts) * PAGE
    try:
        unfinished.unlink(missing_ok=True)  # of a process that was killed
        _require_space(target, total)
        with progress.task(f"unpack {name}", total / 1e6, "MB") as task:
            _write(unfinished, file, runs, store, lambda done: task.update(done / 1e6))
        _require_digest(unfinished, file, f"{packed}: {name}")
        unfinished.rename(target)
    except OSError as error:
        _discard(unfinished)
        if cannot_grow(error):
            raise no_space(error, target) from error
        raise HostError(
            f"cannot restore {target}: {error.strerror}",
            hint="copy the series to a place where you may write",
        ) from error
    except BaseException:
        _discard(unfinished)
        raise


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _require_space(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise HostError(
            f"{target.parent}: {free >> 20} MB are free, and {target.name} needs {needed >> 20} MB",
            hint="free some space",
        )


def _require_digest(path: Path, file: PackedFile, what: str) -> None:
    if sparse.digest(path) != file.digest:
        raise EvidenceError(f"{what}: the pages are not those of the file", hint=_HINT)


def _write(
    target: Path, file: PackedFile, runs: Runs, store: PageStore, update: Callable[[int], None]
) -> None:
    done = 0
    with target.open("xb") as writer:
        for number, members in runs.by_pack():
            name = file.packs[number]
            try:
                content = store.read(name)
            except EvidenceError as error:
                raise EvidenceError(f"{error.message}, and the run needs it", hint=_HINT) from error
            for page, slot, count in members:
                data = content[slot * PAGE : (slot + count) * PAGE]
                if len(data) != count * PAGE:
                    raise EvidenceError(f"{store.path(name)}: has too few pages", hint=_HINT)
                os.pwrite(writer.fileno(), data, page * PAGE)
                done += len(data)
            update(done)
        writer.truncate(file.size)
