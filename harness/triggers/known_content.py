"""The content of the files of the workload ``page-cache``, computed anew from its seed.

``images/system/workloads/page-cache`` writes the same in the system that crashes.
"""

from __future__ import annotations

from harness.s390x.lowcore import PAGE_SIZE

LINE_SIZE = 64
_LINES = PAGE_SIZE // LINE_SIZE
_MODULUS, _FACTOR = 2147483647, 16807  # Park and Miller's generator
_SPREAD = 7919


def known_content(seed: int, number: int, size: int) -> bytes:
    """The first ``size`` bytes of file ``number``; each page begins with a line of its own.

    So no two pages of all files are equal.
    """
    value = 1 + (seed * _SPREAD + number) % (_MODULUS - 1)
    rest = ""
    for line in range(1, _LINES):
        value = value * _FACTOR % _MODULUS
        rest += f"content {seed:010} {number:03} line {line:03} {_random(value)}\n\n"
    pages = []
    for page in range(-(-size // PAGE_SIZE)):
        value = value * _FACTOR % _MODULUS
        pages.append(f"at page {seed:010} {number:03} {page:08} {_random(value)}\n\n{rest}")
    return "".join(pages).encode("ascii")[:size]


def _random(value: int) -> str:
    return f"{value:010} {_MODULUS - value:010} {value:08x}"
