"""Lists in a dump may be damaged: each walk has an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class Broken(Exception):
    """A structure in the dump contradicts itself."""


def bounded(items: Iterable[Item], most: int, what: str) -> Iterator[Item]:
    """The same items; raises Broken if there are more than ``most`` of ``what``."""
    for seen, item in enumerate(items):
        if seen == most:
            raise Broken(f"there are more than {most} {what}, or their list has no end")
        yield item


def text(value: bytes) -> str:
    return value.decode(errors="replace")
