"""The page allocator and slab caches in a dump: do counters and lists agree?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.verify.evidence import Evidence
from harness.verify.semantic.facts import FreeList, KernelFacts, Zone


def check_zones(facts: KernelFacts, _: Evidence) -> Iterator[str]:
    """Lists must have as many free pages as are counted, unless a change was in progress."""
    assert facts.zones is not None
    for zone in facts.zones:
        if not zone.changing:
            yield from _zone(zone)


def check_slabs(facts: KernelFacts, _: Evidence) -> Iterator[str]:
    """Caches must be whole, with no more free objects than objects; tasks must be allocated."""
    assert facts.slabs is not None
    for cache in facts.slabs.caches:
        if cache.broken:
            yield f"slab caches: {cache.name}: {cache.broken}"
        elif not 0 <= cache.free <= cache.objects:
            yield f"slab caches: {cache.name}: {cache.free} of {cache.objects} objects are free"
    for task in facts.slabs.lost_tasks:
        yield f"slab caches: {task} is no allocated object of the cache of tasks"


def _zone(zone: Zone) -> Iterator[str]:
    for blocks in zone.lists:
        yield from _blocks(f"free lists: zone {zone.name}, order {blocks.order}", blocks)
    pages = sum(blocks.counted << blocks.order for blocks in zone.lists)
    if pages != zone.free_pages:
        yield (
            f"free lists: zone {zone.name}: {zone.free_pages} pages are counted as free, its lists "
            f"count {pages}"
        )


def _blocks(where: str, blocks: FreeList) -> Iterator[str]:
    if blocks.broken:
        yield f"{where}: after {blocks.found} blocks: {blocks.broken}"
    elif blocks.found != blocks.counted:
        yield f"{where}: {blocks.counted} blocks are counted, {blocks.found} are listed"
