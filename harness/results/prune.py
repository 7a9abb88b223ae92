"""Which evidence of old nights may go, and why the rest stays."""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from harness.errors import EvidenceError
from harness.evidence.names import BATCH, PACKED
from harness.evidence.pack.pack import sweep
from harness.evidence.pack.recipe import Packed
from harness.evidence.pack.store import PageStore
from harness.results.nights import Night

FIRST_RUNS = "runs"  # the directory of a night's first runs, in its evidence


@dataclass(frozen=True)
class Choice:
    """One night's evidence: whether it goes, and why.

    ``size`` in bytes of disk space, without ``packs``, which other nights may need, too.
    ``only_young``: nothing but its age keeps it.
    """

    night: Night
    goes: bool
    why: str
    size: int
    only_young: bool = False
    packs: frozenset[Path] = frozenset()


def choose(
    history: Sequence[Night],
    now: datetime,
    *,
    nights: int,
    days: int | None,
    size: float | None = None,
) -> list[Choice]:
    """For each night that still has evidence: does it stay?

    The last ``nights`` stay, those that are pinned, those of the last ``days``, and the first and
    the last night in which a signature was seen: with these its failure can still be looked at.
    If all that is more than ``size`` bytes, nights that are only young go, too, the oldest first;
    the last night stays.
    """
    choices = list(_by_age(history, now, nights, days))
    return choices if size is None else _below(size, choices)


def _by_age(
    history: Sequence[Night], now: datetime, nights: int, days: int | None
) -> Iterator[Choice]:
    needed = _needed(history)
    youngest = {each.number for each in history[-nights:]} if nights else set()
    for each in history:
        place = Path(each.evidence)
        if not place.is_dir() or not is_of_night(each):
            continue
        firm = (
            (each.ended is None, "not ended"),
            (each.pinned, "pinned"),
            (each.number in needed, "the first or last with one of its failures"),
        )
        young = (
            (each.number in youngest, f"one of the last {nights}"),
            (
                days is not None and each.started > now - timedelta(days=days),
                f"younger than {days} days",
            ),
        )
        why = next((reason for holds, reason in (*firm, *young) if holds), None)
        only_young = not any(holds for holds, _ in firm)
        yield Choice(each, why is None, why or "old", _size(place), only_young, _packs(place))


def _below(limit: float, choices: Sequence[Choice]) -> list[Choice]:
    """Let more nights go until all that stay use at most ``limit`` bytes, with their packs."""
    stores = {PageStore.of_series(_series(each)) for each in choices}
    sizes = {store.path(name): size for store in stores for name, size in store.sizes().items()}
    users = Counter(pack for each in choices if not each.goes for pack in each.packs)
    used = sum(each.size for each in choices if not each.goes)
    used += sum(sizes.get(pack, 0) for pack in users)
    found = list(choices)
    for at, each in enumerate(choices[:-1]):
        if each.goes or not each.only_young or used <= limit:
            continue
        found[at] = replace(each, goes=True, why=f"all is more than {limit / 1e9:g} GB")
        users.subtract(each.packs)
        used -= each.size + sum(sizes.get(pack, 0) for pack in each.packs if not users[pack])
    return found


def swept(history: Sequence[Night], choices: Sequence[Choice], *, dry_run: bool) -> int:
    """Remove the packs that no run needs when the chosen nights are gone; returns their bytes.

    Raises OSError, EvidenceError.
    """
    gone = [Path(each.night.evidence) for each in choices if each.goes]
    stores = {PageStore.of_series(Path(each.evidence).parent) for each in history if _is_own(each)}
    return sum(sweep(store, dry_run=dry_run, without=gone) for store in stores)


def _series(choice: Choice) -> Path:
    return Path(choice.night.evidence).parent


def _packs(place: Path) -> frozenset[Path]:
    """The packs that the runs of a night need."""
    store, found = PageStore.of_series(place.parent), set()
    for path in place.rglob(PACKED):
        with suppress(EvidenceError):  # to remove any pack is refused then
            found |= {store.path(name) for name in Packed.read(path).packs}
    return frozenset(found)


def is_of_night(night: Night) -> bool:
    """Whether the evidence is that of this night, on this host: nothing else is ever removed."""
    place = Path(night.evidence)
    return _is_own(night) and (place / FIRST_RUNS / BATCH).is_file() and not place.is_symlink()


def _is_own(night: Night) -> bool:
    """Whether the evidence is or was where a night of this host puts it."""
    place = Path(night.evidence)
    return (
        night.host == platform.node()
        and place.name == f"{night.number:04}"
        and place.parent.name == night.series
    )


def _needed(history: Sequence[Night]) -> set[int]:
    """The first and the last night of each signature."""
    seen: dict[str, list[int]] = {}
    for each in history:
        for outcome in each.outcomes.values():
            for attempt in outcome.attempts:
                if attempt.signature is not None:
                    seen.setdefault(attempt.signature, []).append(each.number)
    return {number for numbers in seen.values() for number in (numbers[0], numbers[-1])}


def remove(choice: Choice) -> None:
    """Remove the evidence; the results stay in the database. Raises OSError."""
    shutil.rmtree(choice.night.evidence)


def _size(place: Path) -> int:
    """Bytes of disk space; a file with several names counts once."""
    found = [path.lstat() for path in place.rglob("*") if path.is_file()]
    return sum({(each.st_dev, each.st_ino): each.st_blocks * 512 for each in found}.values())
