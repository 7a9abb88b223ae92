"""Snapshots in the store: crash once, dump many times.

::

    ROOT/snapshots/NAME/        one snapshot: its files, read-only; complete or absent
    ROOT/.locks/crash-NAME      held while it is made or removed

A small file is checked whenever a snapshot is opened, a large one when a run takes it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import EvidenceError, UnknownNameError, UsageError
from harness.evidence.names import DIGESTS
from harness.evidence.snapshot import Snapshot
from harness.files import sparse
from harness.files.plain_file import require_plain
from harness.host.paths import default_store
from harness.images.store import Store, publish, seal
from harness.qemu.binary import find_qemu


class Snapshots:
    """The snapshots in one store, each under its name. All methods raise HostError.

    They do so if the store cannot be read; methods that change it, also if it cannot be written.
    """

    DIRECTORY = "snapshots"  # in the store

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = store.root / self.DIRECTORY

    @staticmethod
    def used_as(name: str) -> str:
        """Under which the store notes the last use of a snapshot."""
        return f"crash-{name}"

    def names(self) -> list[str]:
        """The names of all snapshots, including damaged ones."""
        with self._store.using("its snapshots"):
            if not self._root.is_dir():
                return []
            return sorted(path.name for path in self._root.iterdir() if path.name[0] != ".")

    def has(self, name: str) -> bool:
        """Whether there is a snapshot with exactly this name, even a damaged one."""
        return name in self.names()

    def open(self, name: str) -> Snapshot:
        """The snapshot with exactly this name; raises EvidenceError if it is damaged or missing."""
        with self._blaming(self._root / name):
            return Snapshot.open(self._root / name)

    def get(self, wanted: str) -> Snapshot:
        """The snapshot with this name, unique first part of a name, or path.

        Raises UsageError if there is none or more than one, EvidenceError if it is damaged.
        """
        if os.sep in wanted:
            return Snapshot.open(Path(wanted))
        return self.open(self.find(wanted))

    def find(self, wanted: str, *, strictly: bool = False) -> str:
        """The name that is, or starts with, ``wanted``; raises UsageError if it is not unique.

        If crashes differ only in how they were made, the one of the current QEMU is taken, unless
        ``strictly``.
        """
        names = self.names()
        if wanted in names:
            return wanted
        matches = [name for name in names if wanted and name.startswith(wanted)]
        if len({name.rpartition("-")[0] for name in matches}) == 1 < len(matches) and not strictly:
            release = find_qemu().release
            matches = [name for name in matches if self._qemu_of(name) == release] or matches
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UsageError(
                f"'{wanted}' matches several: {', '.join(matches)}",
                hint="zharness snapshot list shows what they are of, and of which QEMU",
            )
        raise UnknownNameError(f"no snapshot '{wanted}'", hint="zharness snapshot list shows them")

    def _qemu_of(self, name: str) -> str | None:
        """The QEMU of a snapshot; None if it is unknown or the snapshot is damaged."""
        try:
            return self.open(name).qemu
        except EvidenceError:
            return None

    @contextmanager
    def making(self, name: str) -> Iterator[None]:
        """During a ``with`` block nobody else makes or removes that snapshot."""
        with self._store.lock(f"crash-{name}"):
            yield

    def keep(self, snapshot: Snapshot, name: str) -> None:
        """Publish a run's ``snapshot`` under ``name``; only inside :meth:`making`.

        Files are linked, not copied, if possible; they become read-only then.
        """
        with self._store.using(name), self._store.workplace(name) as building:
            place(snapshot, building / name)
            for file in (building / name).iterdir():
                seal(file)
            self._root.mkdir(exist_ok=True)
            publish(building / name, self._root / name)

    def take(self, snapshot: Snapshot, directory: Path) -> Snapshot:
        """Put ``snapshot``, kept here or not, into the new ``directory``, and check all of it.

        Returns the one in ``directory``, which nobody removes. Raises EvidenceError if it is
        not what was saved.
        """
        if self._is_kept(snapshot.directory):
            self._store.last_use.note(self.used_as(snapshot.name))
        with self._blaming(snapshot.directory):
            place(snapshot, directory)
            taken = Snapshot.open(directory)
            taken.check_images()
        return taken

    def remove(self, name: str) -> None:
        """Remove the snapshot with exactly this name; evidence that shares its files keeps them."""
        with self.making(name):
            self._store.bury(self._root / name)

    def _is_kept(self, directory: Path) -> bool:
        return directory.resolve().parent == self._root.resolve()

    @contextmanager
    def _blaming(self, directory: Path) -> Iterator[None]:
        """Adds to the error of a damaged snapshot how to remove it."""
        try:
            yield
        except EvidenceError as error:
            if not self._is_kept(directory):
                raise
            remove = ["zharness", "snapshot", "remove", directory.name]
            if self._store.root != default_store().absolute():
                remove += ["--store", str(self._store.root)]
            raise EvidenceError(
                f"the stored crash {directory.name} cannot be used: {error.message}",
                hint=f"{shlex.join(remove)} removes it; then it is made again",
            ) from error


def place(snapshot: Snapshot, directory: Path) -> None:
    """Put ``snapshot`` also into ``directory``, with links instead of copies if possible.

    Raises EvidenceError if it is removed meanwhile.
    """
    directory.mkdir(parents=True)
    for name in (*snapshot.digests, DIGESTS):
        source, target = snapshot.directory / name, directory / name
        try:
            source.lstat()
            require_plain(source)  # otherwise something else would be linked or copied
            try:
                os.link(source, target)
            except OSError:  # another file system
                sparse.copy(source, target)
        except FileNotFoundError as error:
            raise EvidenceError(f"{source}: removed while it was taken") from error
