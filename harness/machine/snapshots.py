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
from harness.machine.snapshot import Snapshot

READ_ONLY = 0o444


class Snapshots:
    """A directory of snapshots, each under its name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def in_store(cls, store: Path) -> Self:
        """Those that are kept beside the images of the store at ``store``."""
        return cls(store / "snapshots")

    @property
    def journal(self) -> Path:
        """Where the making of snapshots is recorded."""
        return self._root / ".journal.jsonl"

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
    def creating(self, name: str) -> Iterator[Path]:
        """A directory to build a snapshot in; published under ``name`` when the block ends well."""
        self._root.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))
        try:
            yield building
            Snapshot.open(building)
            for file in building.iterdir():
                file.chmod(READ_ONLY)
            target = self._root / name
            if target.exists():
                shutil.rmtree(target)
            building.rename(target)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


def place(snapshot: Snapshot, directory: Path) -> Snapshot:
    """Put ``snapshot`` into ``directory`` as well, without copying where links are possible."""
    directory.mkdir(parents=True)
    for file in snapshot.directory.iterdir():
        try:
            os.link(file, directory / file.name)
        except OSError:  # another file system
            sparse.copy(file, directory / file.name)
    return Snapshot.open(directory)
