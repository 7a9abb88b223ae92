"""Compare the mounts in a dump with /proc/1/mountinfo."""

from __future__ import annotations

from collections.abc import Iterator

from harness.evidence.witnesses import WitnessedMount, Witnesses
from harness.verify.witnesses.facts import Mount, SystemFacts
from harness.verify.witnesses.said import Said, same_keys


def check_mounts(facts: SystemFacts, told: Witnesses) -> Iterator[Said]:
    """The same mounts in the same places. Those that process 1 cannot reach, it cannot list."""
    assert facts.mounts is not None
    for mount in facts.mounts:
        if not mount.listed:
            yield f"mounts: the superblock of {mount.point} is not in the list of superblocks"
    if told.mounts is None:
        return
    listed = {mount.id: mount for mount in told.mounts}
    found = {mount.id: mount for mount in facts.mounts if mount.point is not None}
    yield from same_keys(listed, found, "mounts", "mount")
    for number in sorted(listed.keys() & found.keys()):
        yield from _same(listed[number], found[number])


def describe(mounts: tuple[Mount, ...]) -> str:
    kinds = sorted({mount.kind for mount in mounts})
    return f"mounts: {len(mounts)}, of {', '.join(kinds)}"


def _same(told: WitnessedMount, found: Mount) -> Iterator[str]:
    for what, before, now in (
        ("parent", told.parent, found.parent),
        ("device", told.device, found.device),
        ("root", told.root if found.root is not None else None, found.root),
        ("mount point", told.point, found.point),
        ("file system", told.kind, found.kind),
        ("source", told.source, found.source),
        ("read-only", told.read_only, found.read_only),
    ):
        if before != now:
            yield f"mounts: {told.point} ({told.kind}): {what} is {now}, but it was {before}"
