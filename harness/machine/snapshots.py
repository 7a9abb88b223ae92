"""Snapshots kept for later: crash once, dump many times."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from harness import sparse
from harness.errors import EvidenceError, UsageError
from harness.locking import locked
from harness.machine.snapshot import Snapshot
from harness.progress import Progress

READ_ONLY = 0o444


class Snapshots:
    """A directory of snapshots, each under its name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def in_store(cls, store: Path) -> Self:
        """Those that are kept beside the images of the store at ``store``."""
        return cls(store / "snapshots")

    def has(self, name: str) -> bool:
        """Whether there is a snapshot of exactly this name."""
        return (self._root / name).is_dir()

    def all(self) -> list[Snapshot]:
        """All that can be opened, by name."""
        found = []
        for directory in sorted(self._root.glob("[!.]*")):
            try:
                found.append(Snapshot.open(directory))
            except EvidenceError:
                continue
        return found

    def get(self, name: str) -> Snapshot:
        """By name, unambiguous beginning of a name, or path.

        Raises UsageError if there is none or more than one, EvidenceError if it is damaged.
        """
        if os.sep in name:
            return Snapshot.open(Path(name))
        if (self._root / name).is_dir():
            return Snapshot.open(self._root / name)
        matches = sorted(path.name for path in self._root.glob(f"{name}*")) if name else []
        if len(matches) == 1:
            return Snapshot.open(self._root / matches[0])
        if matches:
            raise UsageError(f"'{name}' could be any of: {', '.join(matches)}")
        raise UsageError(f"no snapshot '{name}'", hint="zharness snapshot list shows them")

    @contextmanager
    def making(self, name: str, progress: Progress) -> Iterator[None]:
        """For the length of a ``with`` block nobody else makes or removes that snapshot."""
        locks = self._root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with locked(locks / name, f"crash {name}", progress):
            yield

    def keep(self, snapshot: Snapshot, name: str) -> Snapshot:
        """Publish ``snapshot`` under ``name``, without copying where links are possible.

        Its files become read-only.
        """
        for file in snapshot.directory.iterdir():
            file.chmod(READ_ONLY)
        building = Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))
        try:
            place(snapshot, building / name)
            (building / name).rename(self._root / name)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return Snapshot.open(self._root / name)

    def remove(self, snapshot: Snapshot) -> None:
        """Take one snapshot out; evidence that shares its files keeps them."""
        grave = Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))
        snapshot.directory.rename(grave / snapshot.name)
        shutil.rmtree(grave)


def place(snapshot: Snapshot, directory: Path) -> Snapshot:
    """Put ``snapshot`` into ``directory`` as well, without copying where links are possible."""
    directory.mkdir(parents=True)
    for file in snapshot.directory.iterdir():
        try:
            os.link(file, directory / file.name)
        except OSError:  # another file system
            sparse.copy(file, directory / file.name)
    return Snapshot.open(directory)
