"""One fault, and the form in which people write it: ``KIND`` or ``KIND:PLACE=NUMBER,...``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ALL = 1 << 32  # a count that no run reaches; "all" in the written form

_TEXT = re.compile(r"([a-z0-9-]+)(?::(.*))?", re.DOTALL)
_NUMBER = re.compile(r"(0x[0-9a-f]{1,16})|(\d{1,19})([KMG]?)", re.IGNORECASE)
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30}


class Group(StrEnum):
    """What it is that goes wrong."""

    MACHINE = "machine"
    DISK = "dump disk"
    SYSTEM = "dump system"


class Promise(StrEnum):
    """What a dump system does when a fault happens, if it keeps to what its kernel promises.

    The first is the most, the last the least.
    """

    SURVIVES = "survives"  # the dump is right
    PARTIAL = "partial"  # the dump lacks something, says so, and the rest is right
    REFUSED = "refused"  # nothing that looks like a whole dump is there
    HONEST = "honest"  # the dump is right, or it does not look whole


class Place(StrEnum):
    """What says where and when a fault happens."""

    REQUEST = "request"  # the number of an SDIAS request, from 1 on; a repeated one counts again
    ADDRESS = "address"  # absolute address of a page that is read from the HSA
    COUNT = "count"  # how often it happens, one after the other; default: 1
    CPU = "cpu"  # CPU address
    OFFSET = "offset"  # bytes from the beginning of the dump disk, in whole blocks of 512
    RATE = "rate"  # bytes per second
    SIZE = "size"  # bytes
    WRITE = "write"  # the number of a write to the dump disk, from 1 on
    SEED = "seed"  # chooses what is left to chance; 0: the worst case


@dataclass(frozen=True)
class FaultKind:
    """One row of the table. ``summary`` is what happens; ``why`` is where the promise is made.

    One of the places in ``when`` must be given, if there are any; those in ``may`` may be.
    ``findings``, for a promise that is PARTIAL: regular expressions for what the checks then find.
    They may also find what ``follows`` from that.
    """

    group: Group
    name: str
    summary: str
    promise: Promise
    why: str
    when: tuple[Place, ...] = ()
    may: tuple[Place, ...] = ()
    findings: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """A fault of this ``kind`` at ``places``. ``str`` gives the form that ``parse`` reads."""

    kind: FaultKind
    places: Mapping[Place, int]

    def __str__(self) -> str:
        said = ",".join(f"{place}={_written(place, value)}" for place, value in self.places.items())
        return f"{self.kind.name}:{said}" if said else self.kind.name

    def at(self, place: Place) -> int | None:
        return self.places.get(place)

    @property
    def count(self) -> int:
        return self.places.get(Place.COUNT, 1)


def parse(text: str, kinds: Mapping[str, FaultKind]) -> Fault:
    """The inverse of ``str``; raises ValueError, in words for the user."""
    match = _TEXT.fullmatch(text.strip())
    kind = kinds.get(match[1]) if match else None
    if match is None or kind is None:
        raise ValueError(f"there is no fault '{text}'; 'zharness faults list' shows all")
    places = dict(_place(part, kind) for part in (match[2] or "").split(",") if part.strip())
    if kind.when and not places.keys() & set(kind.when):
        raise ValueError(f"fault {kind.name} needs {' or '.join(kind.when)}: {example(kind)}")
    both = [place for place in kind.when if place in places]
    if len(both) > 1:
        raise ValueError(f"fault {kind.name} happens at one place: {' or '.join(both)}")
    return Fault(kind, places)


def example(kind: FaultKind) -> str:
    """How a fault of this kind can be written."""
    return f"{kind.name}:{kind.when[0]}=1" if kind.when else kind.name


def _place(part: str, kind: FaultKind) -> tuple[Place, int]:
    name, _, value = (word.strip() for word in part.partition("="))
    known = (*kind.when, *kind.may)
    if name not in known:
        there = ", ".join(known) or "none"
        raise ValueError(f"fault {kind.name} has no place '{name}'; its places: {there}")
    if name == Place.COUNT and value == "all":
        return Place.COUNT, ALL
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise ValueError(f"fault {kind.name}: {name}: '{value}' is no number, such as 12 or 0x2000")
    number = int(match[1], 16) if match[1] else int(match[2]) << _SHIFT[match[3].upper()]
    if number == 0 and name in (Place.REQUEST, Place.COUNT):
        raise ValueError(f"fault {kind.name}: {name}: the first one has number 1")
    return Place(name), number


def _written(place: Place, value: int) -> str:
    return "all" if place is Place.COUNT and value == ALL else str(value)
