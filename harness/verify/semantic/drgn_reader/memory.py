"""The page allocator's free lists, and some slab caches."""

from __future__ import annotations

from collections.abc import Iterator

from drgn import FaultError, Object, Program, cast
from drgn.helpers import ValidationError
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.list import validate_list_count_nodes
from drgn.helpers.linux.mmzone import for_each_online_pgdat
from drgn.helpers.linux.percpu import per_cpu_ptr
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.slab import find_slab_cache, slab_cache_usage, slab_object_info

from harness.dump.reader import Dump
from harness.verify.semantic.drgn_reader.tasks import describe
from harness.verify.semantic.facts import FreeList, SlabCache, Slabs, Zone

MAX_BLOCKS = 1 << 16  # most free blocks of one order that are counted
# only caches that no trigger damages: LKDTM damages its own, and kmalloc's
CACHES = ("task_struct", "signal_cache", "sighand_cache", "dentry", "radix_tree_node")
_TASKS = "task_struct"


def read_zones(program: Program, _: Dump) -> tuple[Zone, ...]:
    return tuple(
        _zone(zone)
        for node in for_each_online_pgdat(program)
        for zone in node.node_zones
        if zone.present_pages
    )


def read_slabs(program: Program, _: Dump) -> Slabs:
    caches = tuple(filter(None, (_cache(program, name) for name in CACHES)))
    tasks = [task for task in for_each_task(program) if not _in_kfence(program, int(task))]
    lost = tuple(describe(task) for task in tasks if not _allocated(program, task))
    return Slabs(caches, len(tasks), lost)


def _zone(zone: Object) -> Zone:
    program = zone.prog_
    free_pages = int(program.constant("NR_FREE_PAGES"))
    counted = int(zone.vm_stat[free_pages].counter)
    for cpu in for_each_possible_cpu(program):
        counted += int(per_cpu_ptr(zone.per_cpu_zonestats, cpu).vm_stat_diff[free_pages])
    return Zone(
        name=zone.name.string_().decode(errors="replace"),
        free_pages=counted,
        lists=tuple(_free_lists(zone)),
        changing=bool(zone.lock.rlock.raw_lock.lock),
    )


def _free_lists(zone: Object) -> Iterator[FreeList]:
    for order, area in enumerate(zone.free_area):
        counted = int(area.nr_free)
        if counted > MAX_BLOCKS:
            yield FreeList(order, counted, counted)
            continue
        found = 0
        try:
            for head in area.free_list:
                found += validate_list_count_nodes(head.address_of_())
        except (FaultError, ValidationError) as error:
            yield FreeList(order, counted, found, f"{error}")
        else:
            yield FreeList(order, counted, found)


def _cache(program: Program, name: str) -> SlabCache | None:
    cache = find_slab_cache(program, name)
    if cache is None:  # merged with another one
        return None
    try:
        usage = slab_cache_usage(cache)
    except (FaultError, ValidationError) as error:
        return SlabCache(name, 0, 0, f"{error}")
    return SlabCache(name, usage.num_objs, usage.free_objs)


def _allocated(program: Program, task: Object) -> bool:
    found = slab_object_info(program, cast("void *", task))
    return (
        found is not None
        and found.slab_cache.name.string_().decode(errors="replace") == _TASKS
        and found.address == int(task)
        and found.allocated is not False
    )


def _in_kfence(program: Program, address: int) -> bool:
    """KFENCE has objects of any cache in a pool of its own (mm/kfence/core.c)."""
    if "__kfence_pool" not in program:
        return False
    start = int(program["__kfence_pool"])
    return start <= address < start + int(program["KFENCE_POOL_SIZE"]) if start else False
