"""Which evidence of old nights may go, and why the rest stays."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from harness.evidence.names import BATCH
from harness.results.nights import Night

FIRST_RUNS = "runs"  # the directory of a night's first runs, in its evidence


@dataclass(frozen=True)
class Choice:
    """One night's evidence: whether it goes, and why. ``size`` in bytes of disk space."""

    night: Night
    goes: bool
    why: str
    size: int


def choose(
    history: Sequence[Night], now: datetime, *, nights: int, days: int | None
) -> Iterator[Choice]:
    """For each night that still has evidence: does it stay?

    The last ``nights`` stay, those that are pinned, those of the last ``days``, and the first and
    the last night in which a signature was seen: with these its failure can still be looked at.
    """
    needed = _needed(history)
    youngest = {each.number for each in history[-nights:]} if nights else set()
    for each in history:
        place = Path(each.evidence)
        if not place.is_dir() or not is_of_night(each):
            continue
        reasons = (
            (each.ended is None, "not ended"),
            (each.number in youngest, f"one of the last {nights}"),
            (each.pinned, "pinned"),
            (
                days is not None and each.started > now - timedelta(days=days),
                f"younger than {days} days",
            ),
            (each.number in needed, "the first or last with one of its failures"),
        )
        why = next((reason for holds, reason in reasons if holds), None)
        yield Choice(each, why is None, why or "old", _size(place))


def is_of_night(night: Night) -> bool:
    """Whether the evidence is that of this night, on this host: nothing else is ever removed."""
    place = Path(night.evidence)
    return (
        night.host == platform.node()
        and place.name == f"{night.number:04}"
        and place.parent.name == night.series
        and (place / FIRST_RUNS / BATCH).is_file()
        and not place.is_symlink()
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
    return sum(path.lstat().st_blocks * 512 for path in place.rglob("*") if path.is_file())
