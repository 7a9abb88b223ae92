"""The content of files in the page cache, found by path.

As a path is resolved (Linux fs/namei.c): from dentry to dentry by name, and over mounts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from drgn import FaultError, Object, Program, sizeof
from drgn.helpers.linux.list import hlist_for_each_entry, list_for_each_entry
from drgn.helpers.linux.mm import page_to_phys

from harness.verify.semantic.drgn_reader.system.bounded import Broken, bounded, text
from harness.verify.semantic.drgn_reader.system.mounts import (
    MAX_DEPTH,
    Place,
    kind_of,
    mount_points,
    root_of_init,
)
from harness.verify.semantic.drgn_reader.system.xarray import Entry, entries
from harness.verify.witnesses.facts import CachedFile

_Mounted = Mapping[tuple[int, int], Object]  # as mount_points() returns it

PAGE = 4096
MAX_ENTRIES = 1 << 20  # of a directory, in memory
MAX_PAGES = 1 << 12  # of a file that is read


def read_files(program: Program, paths: Sequence[str]) -> tuple[CachedFile, ...]:
    """A file that is not found, or whose structures are damaged, has a fault."""
    root = root_of_init(program)
    mounted = mount_points(root)
    return tuple(_file(program, root, mounted, path) for path in paths)


def _file(program: Program, root: Place, mounted: _Mounted, path: str) -> CachedFile:
    try:
        return _cached(program, _found(root, mounted, path), path)
    except (FaultError, Broken) as error:
        return CachedFile(path, fault=str(error))


def _found(root: Place, mounted: _Mounted, path: str) -> Object:
    """The file's ``struct dentry *``."""
    place = root
    for name in filter(None, path.split("/")):
        child = _child(place.dentry, name.encode(errors="surrogateescape"))
        if child is None:
            raise Broken(f"{text(place.dentry.d_name.name.string_())} has no {name} in memory")
        place = _over_mounts(Place(place.mount, child), mounted)
    return place.dentry


def _child(directory: Object, name: bytes) -> Object | None:
    for child in bounded(_children(directory), MAX_ENTRIES, "entries of a directory"):
        if child.d_name.name.string_() == name and child.d_inode:
            return child
    return None


def _children(directory: Object) -> Iterator[Object]:
    """Since Linux 6.8 (da549bdd15c2) the list has a head of one pointer, and other names."""
    try:
        head = directory.d_children.address_of_()
    except AttributeError:
        head = directory.d_subdirs.address_of_()
        return iter(list_for_each_entry("struct dentry", head, "d_child"))
    return iter(hlist_for_each_entry("struct dentry", head, "d_sib"))


def _over_mounts(place: Place, mounted: _Mounted) -> Place:
    """Where the path goes on, if something is mounted there."""
    for _ in range(MAX_DEPTH):
        mount = mounted.get(place.key)
        if mount is None:
            return place
        place = Place(mount, mount.mnt.mnt_root.read_())
    raise Broken(f"more than {MAX_DEPTH} mounts on one another")


def _cached(program: Program, dentry: Object, path: str) -> CachedFile:
    inode = dentry.d_inode.read_()
    mapping = inode.i_mapping.read_()
    size = int(inode.i_size)
    pages: list[tuple[int, str]] = []
    whole, there, elsewhere, largest = hashlib.sha256(), 0, 0, 0
    for entry in entries(mapping.i_pages, MAX_PAGES):
        if entry.is_value:
            elsewhere += 1
            continue
        there += entry.count
        largest = max(largest, entry.count)
        for number, content in _contents(program, entry, size):
            pages.append((number, hashlib.sha256(content).hexdigest()))
            whole.update(content)
            if len(pages) > MAX_PAGES:
                raise Broken(f"has more than {MAX_PAGES} pages")
    complete = [number for number, _ in pages] == [*range(-(-size // PAGE))]
    return CachedFile(
        path=path,
        kind=kind_of(inode.i_sb),
        size=size,
        pages=tuple(pages),
        entries=there,
        counted=int(mapping.nrpages),
        elsewhere=elsewhere,
        largest=largest,
        sha256=whole.hexdigest() if complete else None,
    )


def _contents(program: Program, entry: Entry, size: int) -> Iterator[tuple[int, bytes]]:
    """Number and content of each page of a folio, without what is behind the file's end."""
    kind = program.type("struct page")
    for number in range(entry.index, entry.index + entry.count):
        wanted = min(PAGE, size - number * PAGE)
        if wanted > 0:
            address = entry.value + (number - entry.index) * sizeof(kind)
            physical = int(page_to_phys(Object(program, "struct page *", address)))
            yield number, program.read(physical, wanted, physical=True)
