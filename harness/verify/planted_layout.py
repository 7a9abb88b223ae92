"""Layout of the content that a crashed system plants in its memory before it crashes.

Reference: docs/content.md. The program that plants (``images/crash/plant``) has its own copy on
purpose: a mistake in one of the two makes the check fail.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Self

PAGE = 4096
MAGIC = bytes.fromhex("e97a48636f6e74a5")
HEADER_SIZE = 64
NEXT_IS_ZERO = 1  # flag: the page behind this one was zeroed

_FIELDS = struct.Struct(">8s2HIQ2IQ2I")
_VERSION = 1
_CHECK_SIZE = HEADER_SIZE - _FIELDS.size
_DIGEST_SIZE = 32
_VALUE_BITS = 56  # of a ledger entry, below its kind


class Kind(IntEnum):
    """What follows a header; ``MESSAGE`` is the only kind that is not a page."""

    ANONYMOUS = 1
    TMPFS = 2
    RAMFS = 3
    BLOCK = 4
    MESSAGE = 5
    ZERO = 6
    LEDGER = 7

    @property
    def title(self) -> str:
        return _TITLES[self]


_TITLES = {
    Kind.ANONYMOUS: "anonymous memory",
    Kind.TMPFS: "tmpfs",
    Kind.RAMFS: "page cache of ramfs",
    Kind.BLOCK: "page cache of a block device",
    Kind.MESSAGE: "slab message",
    Kind.ZERO: "zeroed memory",
    Kind.LEDGER: "ledger",
}


_KINDS = frozenset(Kind)


@dataclass(frozen=True)
class Header:
    """The first 64 bytes of a planted page or message.

    ``index`` counts within the kind, of which there are ``total``. ``address`` is absolute, 0 for
    a message; ``size`` is in bytes, header included.
    """

    kind: Kind
    flags: int
    seed: int
    index: int
    total: int
    address: int
    size: int

    @property
    def title(self) -> str:
        """The name of this page or message, for people."""
        return f"{self.kind.title} {self.index} of {self.total}"

    def pack(self) -> bytes:
        """The 64 bytes."""
        fields = _FIELDS.pack(
            MAGIC,
            _VERSION,
            self.kind,
            self.flags,
            self.seed,
            self.index,
            self.total,
            self.address,
            self.size,
            0,
        )
        return fields + _digest(fields, _CHECK_SIZE)

    def content(self) -> bytes:
        """All ``size`` bytes: header and body. Not for a ledger page, whose body is a list."""
        head = self.pack()
        size = self.size - HEADER_SIZE
        # reproducible everywhere: MT19937 with the whole header as its key
        stream = random.Random(int.from_bytes(head, "big"))  # noqa: S311 -- not a secret
        return head + stream.getrandbits(size * 8).to_bytes(size, "big")

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """The header at the start of ``data``; None if it is missing or damaged."""
        head = data[:HEADER_SIZE]
        if len(head) < HEADER_SIZE or not head.startswith(MAGIC):
            return None
        fields, check = head[: _FIELDS.size], head[_FIELDS.size :]
        if check != _digest(fields, _CHECK_SIZE):
            return None
        _, version, kind, flags, seed, index, total, address, size, reserved = _FIELDS.unpack(
            fields
        )
        if version != _VERSION or reserved or kind not in _KINDS or index >= total:
            return None
        smallest = HEADER_SIZE if kind == Kind.MESSAGE else PAGE
        if not smallest <= size <= PAGE:
            return None
        return cls(Kind(kind), flags, seed, index, total, address, size)


def listed_headers(entries: Sequence[tuple[Kind, int]], seed: int) -> tuple[Header, ...]:
    """The headers of all ``entries`` of a complete ledger, in the order of the ledger.

    The value of an entry is a message's size or a page's frame number. Everything else follows
    from them: index, total, and whether the next page is zero.
    """
    numbers = {kind: count() for kind in Kind}
    totals = Counter(kind for kind, _ in entries)
    zeroed = {frame for kind, frame in entries if kind is Kind.ZERO}
    headers = []
    for kind, value in entries:
        index, total = next(numbers[kind]), totals[kind]
        if kind is Kind.MESSAGE:
            headers.append(Header(kind, 0, seed, index, total, 0, value))
        else:
            flags = NEXT_IS_ZERO if value + 1 in zeroed else 0
            headers.append(Header(kind, flags, seed, index, total, value * PAGE, PAGE))
    return tuple(headers)


def ledger_entries(page: bytes) -> tuple[tuple[Kind, int], ...] | None:
    """(kind, value) of each entry of a whole ledger page; None if it is damaged."""
    content, digest = page[: PAGE - _DIGEST_SIZE], page[PAGE - _DIGEST_SIZE :]
    if len(page) != PAGE or digest != _digest(content, _DIGEST_SIZE):
        return None
    try:
        return tuple(_listed(content[HEADER_SIZE:]))
    except ValueError:  # an unknown kind
        return None


def _listed(words: bytes) -> Iterator[tuple[Kind, int]]:
    for (word,) in struct.iter_unpack(">Q", words):
        if word:
            yield Kind(word >> _VALUE_BITS), word & ((1 << _VALUE_BITS) - 1)


def _digest(data: bytes, size: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size).digest()
