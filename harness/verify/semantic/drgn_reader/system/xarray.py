"""Walk an XArray that may be damaged.

References: Linux include/linux/xarray.h, lib/xarray.c. Linux 4.20 and newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from drgn import Object, Program

from harness.verify.semantic.drgn_reader.system.bounded import Broken

CHUNK_SHIFT = 6  # XA_CHUNK_SHIFT, without CONFIG_BASE_SMALL
_MAX_SHIFT = 60
_ZERO = 257 << 2 | 2  # XA_ZERO_ENTRY
_INTERNAL = 2  # in the two lowest bits
_FIRST_NODE = 4096  # lower internal entries are siblings, or special


@dataclass(frozen=True)
class Entry:
    """An entry: the first index that it stands for, how many these are, and its value."""

    index: int
    count: int
    value: int

    @property
    def is_value(self) -> bool:
        """It is no pointer; in the page cache it tells of a page that was there, or is in swap."""
        return bool(self.value & 1)


def entries(xarray: Object, most: int) -> Iterator[Entry]:
    """All entries, in the order of their indices; ``xarray`` is a ``struct xarray``.

    Raises Broken if a node is at the wrong level, or there are more than ``most`` nodes.
    """
    head = int(xarray.xa_head)
    if not _is_node(head):
        if head:
            yield Entry(0, 1, head)
        return
    left = [(head, 0, _MAX_SHIFT + CHUNK_SHIFT)]
    for _ in range(most):
        if not left:
            return
        value, index, above = left.pop()
        found, nodes = _node(xarray.prog_, value, index, above)
        yield from found
        left += reversed(nodes)
    if left:
        raise Broken(f"an XArray has more than {most} nodes")


def _is_node(value: int) -> bool:
    return value & 3 == _INTERNAL and value > _FIRST_NODE


def _node(
    program: Program, value: int, index: int, above: int
) -> tuple[list[Entry], list[tuple[int, int, int]]]:
    """A node's entries and lower nodes; it stands below a node whose shift is ``above``."""
    node = Object(program, "struct xa_node", address=value - _INTERNAL)
    shift = int(node.shift)
    if shift % CHUNK_SHIFT or shift >= above:
        raise Broken(f"an XArray's node at {value - _INTERNAL:#x} has shift {shift} below {above}")
    found: list[Entry] = []
    nodes: list[tuple[int, int, int]] = []
    for slot, content in enumerate(node.slots.read_()):
        entry, at = int(content), index + (slot << shift)
        if entry in (0, _ZERO):
            continue
        if _is_node(entry):
            nodes.append((entry, at, shift))
        elif entry & 3 == _INTERNAL:  # a sibling: it belongs to an entry before
            if found:
                found[-1] = replace(found[-1], count=found[-1].count + (1 << shift))
        else:
            found.append(Entry(at, 1 << shift, entry))
    return found, nodes
