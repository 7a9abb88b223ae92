"""Which images and stored crashes may go, and why the rest stays.

An image is built again when it is needed, and a crash is made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.images.store import Store
from harness.machine.snapshots import Snapshots

_DAY = 86400  # seconds
_BLOCK = 512  # bytes, the unit of st_blocks (stat(2))


@dataclass(frozen=True)
class Item:
    """An image or a stored crash. ``size``: the bytes that are free without it."""

    name: str
    path: Path
    used: float  # seconds since the epoch
    size: int
    is_crash: bool

    @property
    def note(self) -> str:
        """Under which its last use is noted."""
        return Snapshots.used_as(self.name) if self.is_crash else self.name


@dataclass(frozen=True)
class Choice:
    """What happens to an item, and why."""

    item: Item
    goes: bool
    why: str
    in_use: bool = False


def choose(store: Store, now: float, *, days: float, size: float | None = None) -> list[Choice]:
    """For each image and each stored crash, the one first that was used longest ago.

    What was not used for ``days`` goes. If the rest is more than ``size`` bytes, more goes, in that
    order. What a running process uses stays. Raises HostError if the store cannot be read.
    """
    with store.using("a look at its use"):
        choices = [_by_age(store, item, now, days) for item in sorted(_items(store), key=_used)]
    return choices if size is None else _below(size, choices)


def remove(store: Store, choices: Sequence[Choice]) -> int:
    """Remove what goes, unless a process has begun to use it; returns the bytes. HostError."""
    freed = 0
    for choice in choices:
        item = choice.item
        if not choice.goes:
            continue
        with store.using(item.name), store.last_use.unused(item.note) as unused:
            if unused:
                store.bury(item.path)
                freed += item.size
    store.sweep()
    return freed


def _items(store: Store) -> Iterator[Item]:
    crashes = store.root / Snapshots.DIRECTORY
    for name in store.names():
        yield _item(store, name, store.root / name, is_crash=False)
    for name in Snapshots(store).names():
        yield _item(store, name, crashes / name, is_crash=True)


def _item(store: Store, name: str, path: Path, *, is_crash: bool) -> Item:
    item = Item(name, path, 0, _size(path), is_crash)
    used = store.last_use.at(item.note)
    # an older harness noted no use; the directory has the time when it was made
    return replace(item, used=max(used or 0, path.stat().st_mtime))


def _size(path: Path) -> int:
    """Without files that have another name, as those of a crash in evidence."""
    found = (file.lstat() for file in path.rglob("*"))
    return sum(each.st_blocks * _BLOCK for each in found if each.st_nlink == 1)


def _used(item: Item) -> float:
    return item.used


def _by_age(store: Store, item: Item, now: float, days: float) -> Choice:
    if store.last_use.in_use(item.note):
        return Choice(item, goes=False, why="a process uses it", in_use=True)
    age = (now - item.used) / _DAY
    if age >= days:
        return Choice(item, goes=True, why=f"not used for {age:.0f} days")
    return Choice(item, goes=False, why=f"used {age:.0f} days ago")


def _below(limit: float, choices: Sequence[Choice]) -> list[Choice]:
    """Let more go until the rest is at most ``limit`` bytes."""
    used = sum(each.item.size for each in choices if not each.goes)
    found = []
    for each in choices:
        if used > limit and not each.goes and not each.in_use:
            used -= each.item.size
            each = replace(each, goes=True, why=f"all is more than {limit / 1e9:g} GB")
        found.append(each)
    return found
