"""The content of the files of the workload ``page-cache``, computed anew from its seed.

``images/system/workloads/page-cache`` writes the same in the system that crashes.
"""

from __future__ import annotations

LINE_SIZE = 64
_MODULUS, _FACTOR = 2147483647, 16807  # Park and Miller's generator
_SPREAD = 7919


def known_content(seed: int, number: int, size: int) -> bytes:
    """The first ``size`` bytes of file ``number``; a line of 64 bytes names its own place.

    So no two pages of all files are equal.
    """
    value = 1 + (seed * _SPREAD + number) % (_MODULUS - 1)
    lines = []
    for line in range(-(-size // LINE_SIZE)):
        value = value * _FACTOR % _MODULUS
        lines.append(
            f"zharness {seed:010} {number:03} {line:08} {value:010} {_MODULUS - value:010} "
            f"{value:08x}\n"
        )
    return "".join(lines).encode("ascii")[:size]
