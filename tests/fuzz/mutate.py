"""Make a fuzzed input: a right one with a few damages, which depend only on a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_DAMAGES = 4
_LONGEST = 4096  # the most bytes that one damage changes, except truncation
_WIDTHS = (1, 2, 4, 8)
_TEXT = b"0123456789abcdef-=()[]:,/ \n\0"


@dataclass(frozen=True)
class Seed:
    """A right input; three of four damages start in one of its ``hot`` (start, end) ranges."""

    content: bytes
    hot: Sequence[tuple[int, int]]


def mutated(seed: Seed, source: random.Random) -> bytes:
    """The seed with one to four damages."""
    data = bytearray(seed.content)
    for _ in range(source.randint(1, MAX_DAMAGES)):
        if not data:
            break
        source.choice(DAMAGES)(data, _place(seed, len(data), source), source)
    return bytes(data)


def _place(seed: Seed, size: int, source: random.Random) -> int:
    if seed.hot and source.randrange(4):
        start, end = source.choice(seed.hot)
        return min(source.randrange(start, end), size - 1)
    return source.randrange(size)


def _bit(data: bytearray, at: int, source: random.Random) -> None:
    data[at] ^= 1 << source.randrange(8)


def _byte(data: bytearray, at: int, source: random.Random) -> None:
    data[at] = source.randrange(256)


def _field(data: bytearray, at: int, source: random.Random) -> None:
    """An aligned number, in either byte order, becomes a critical value."""
    width, order = source.choice(_WIDTHS), source.choice(("big", "big", "little"))
    start = at - at % width
    old = int.from_bytes(data[start : start + width], order)
    value = _telling(old, len(data), 8 * width, source)
    data[start : start + width] = value.to_bytes(width, order)[: len(data) - start]


def _number(data: bytearray, at: int, source: random.Random) -> None:
    """As ``_field``, but for numbers in text, as in VMCOREINFO."""
    value = _telling(source.randrange(1 << 16), len(data), source.choice((32, 64, 80)), source)
    text = format(value, source.choice("dx")).encode()
    data[at : at + len(text)] = text


def _telling(old: int, size: int, bits: int, source: random.Random) -> int:
    power = 1 << source.randrange(bits)
    telling = (0, 1, -1, -4096, power, power - 1, -power, size, size - 1, old + 1, old - 1)
    value = source.choice((*telling, old * 2, old // 2, old ^ power, source.getrandbits(bits)))
    return value % (1 << bits)


def _character(data: bytearray, at: int, source: random.Random) -> None:
    data[at] = source.choice(_TEXT)


def _swapped_word(data: bytearray, at: int, source: random.Random) -> None:
    width = source.choice(_WIDTHS)
    start = at - at % width
    data[start : start + width] = data[start : start + width][::-1]


def _zeros(data: bytearray, at: int, source: random.Random) -> None:
    size = min(source.randint(1, _LONGEST), len(data) - at)
    data[at : at + size] = bytes(size)


def _copied(data: bytearray, at: int, source: random.Random) -> None:
    """Bytes are replaced by a copy of other bytes."""
    start = source.randrange(len(data))
    part = data[start : start + source.randint(1, _LONGEST)][: len(data) - at]
    data[at : at + len(part)] = part


def _truncated(data: bytearray, at: int, _: random.Random) -> None:
    del data[at:]


def _removed(data: bytearray, at: int, source: random.Random) -> None:
    del data[at : at + source.randint(1, 64)]


def _inserted(data: bytearray, at: int, source: random.Random) -> None:
    data[at:at] = source.randbytes(source.randint(1, 64))


DAMAGES: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    _bit,
    _byte,
    _field,
    _field,  # twice, because readers mostly trust fields
    _number,
    _character,
    _swapped_word,
    _zeros,
    _copied,
    _truncated,
    _removed,
    _inserted,
)
