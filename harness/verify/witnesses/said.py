"""What comparing one part of the facts says: findings, and differences that are allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from harness.verify.findings import AllowedDifference

SHOWN = 5  # of many that are alike

Said = str | AllowedDifference
Key = TypeVar("Key")
Item = TypeVar("Item")


def first(names: Iterable[object], most: int = SHOWN) -> str:
    """The first names, with commas."""
    left = iter(names)
    shown = ", ".join(map(str, islice(left, most)))
    return f"{shown}, ..." if next(left, None) is not None else shown


def same_keys(
    told: Mapping[Key, Item], found: Mapping[Key, object], what: str, kind: str
) -> Iterator[str]:
    """Findings for what only one side has; ``what`` is the part, ``kind`` one thing of it."""
    for key in told.keys() - found.keys():
        yield f"{what}: the dump has no {kind} {key}, which the system had"
    for key in found.keys() - told.keys():
        yield f"{what}: the dump has a {kind} {key}, which the system did not have"
