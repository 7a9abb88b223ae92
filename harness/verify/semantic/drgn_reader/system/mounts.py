"""The mounts of process 1's namespace, and how its paths lead through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drgn import Object, Program, container_of
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.pid import find_task

from harness.verify.semantic.drgn_reader.system.bounded import Broken, bounded, text
from harness.verify.witnesses.facts import Mount

MAX_MOUNTS = 1 << 12
MAX_DEPTH = 1 << 10  # of a path, and of mounts on mounts
_READ_ONLY = 0x40  # MNT_READONLY: Linux include/linux/mount.h
_MINOR_BITS = 20


@dataclass(frozen=True)
class Place:
    """A directory or file: ``struct mount *`` and ``struct dentry *``."""

    mount: Object
    dentry: Object

    @property
    def key(self) -> tuple[int, int]:
        return int(self.mount), int(self.dentry)


def root_of_init(program: Program) -> Place:
    """Where the paths of process 1 begin."""
    init = find_task(program, 1)
    if not init:
        raise Broken("there is no process 1")
    return _place(init.fs.root)


def _mounts_on(mount: Object) -> Iterator[Object]:
    """The mounts whose mount points are in ``mount``: ``struct mount *``."""
    head = mount.mnt_mounts.address_of_()
    return bounded(list_for_each_entry("struct mount", head, "mnt_child"), MAX_MOUNTS, "mounts")


def mount_points(root: Place) -> dict[tuple[int, int], Object]:
    """What is mounted where, in the namespace of ``root``: a mount and a dentry lead to a mount."""
    return {
        (int(mount.mnt_parent), int(mount.mnt_mountpoint)): mount
        for mount in _all(_topmost(root.mount))
    }


def kind_of(superblock: Object) -> str:
    """As in /proc/PID/mountinfo: the type's name, and the subtype's (FUSE)."""
    subtype = superblock.s_subtype.read_()
    kind = text(superblock.s_type.name.string_())
    return f"{kind}.{text(subtype.string_())}" if subtype else kind


def read_mounts(program: Program) -> tuple[Mount, ...]:
    root = root_of_init(program)
    listed = {
        int(superblock)
        for superblock in bounded(
            list_for_each_entry(
                "struct super_block", program["super_blocks"].address_of_(), "s_list"
            ),
            MAX_MOUNTS,
            "superblocks",
        )
    }
    return tuple(_mount(mount, root, listed) for mount in _all(_topmost(root.mount)))


def _place(path: Object) -> Place:
    return Place(container_of(path.mnt.read_(), "struct mount", "mnt"), path.dentry.read_())


def _topmost(mount: Object) -> Object:
    """The mount that has no parent but itself."""
    for _ in range(MAX_DEPTH):
        parent = mount.mnt_parent.read_()
        if int(parent) == int(mount):
            return mount
        mount = parent
    raise Broken(f"a mount has more than {MAX_DEPTH} parents")


def _all(top: Object) -> Iterator[Object]:
    """A mount and all that are on it."""
    left, seen = [top], 0
    while left:
        mount = left.pop()
        yield mount
        left += _mounts_on(mount)
        seen += 1
        if seen > MAX_MOUNTS:
            raise Broken(f"there are more than {MAX_MOUNTS} mounts, or their tree has no end")


def _mount(mount: Object, root: Place, listed: set[int]) -> Mount:
    superblock, source = mount.mnt.mnt_sb.read_(), mount.mnt_devname.read_()
    device = int(superblock.s_dev)
    return Mount(
        id=int(mount.mnt_id),
        parent=int(mount.mnt_parent.mnt_id),
        device=f"{device >> _MINOR_BITS}:{device & ((1 << _MINOR_BITS) - 1)}",
        root=_path_in(mount.mnt.mnt_root.read_()),
        point=_path(Place(mount, mount.mnt.mnt_root.read_()), root),
        read_only=bool(int(mount.mnt.mnt_flags) & _READ_ONLY),
        kind=kind_of(superblock),
        source=text(source.string_()) if source else "none",
        listed=int(superblock) in listed,
    )


def _path_in(dentry: Object) -> str | None:
    """Of a dentry in its file system; None if the file system makes names up (d_dname)."""
    operations = dentry.d_op.read_()
    if operations and operations.d_dname:
        return None
    names: list[str] = []
    for _ in range(MAX_DEPTH):
        parent = dentry.d_parent.read_()
        if int(parent) == int(dentry):
            return "/" + "/".join(reversed(names))
        names.append(text(dentry.d_name.name.string_()))
        dentry = parent
    raise Broken(f"a path has more than {MAX_DEPTH} names")


def _path(place: Place, root: Place) -> str | None:
    """Up to ``root``; None if the way up does not lead there (d_path, prepend_path)."""
    names: list[str] = []
    mount, dentry = place.mount, place.dentry
    for _ in range(MAX_DEPTH):
        if (int(mount), int(dentry)) == root.key:
            return "/" + "/".join(reversed(names))
        if int(dentry) == int(mount.mnt.mnt_root):
            parent = mount.mnt_parent.read_()
            if int(parent) == int(mount):
                return None
            mount, dentry = parent, mount.mnt_mountpoint.read_()
            continue
        parent = dentry.d_parent.read_()
        if int(parent) == int(dentry):
            return None
        names.append(text(dentry.d_name.name.string_()))
        dentry = parent
    raise Broken(f"a path has more than {MAX_DEPTH} names")
