"""Whether a full system is after its re-IPL as it was before the crash."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.evidence.condition import Condition

UP = "running"
# what the kernel says of a damaged file system: Linux fs/ext4/super.c (ext4_msg),
# fs/xfs/xfs_message.c, fs/btrfs/messages.c. The mount option errors=remount-ro is no such line
_DAMAGE = re.compile(r"\berror\b|corrupt|inconsistent", re.IGNORECASE)


def differences(
    before: Condition | None, after: Condition | None, *, configured: bool = False
) -> Iterator[str]:
    """What is wrong with the system after the re-IPL, one line each.

    ``configured``: files in its /etc set the shutdown actions at each boot.
    """
    if before is None or after is None:
        when = "before the crash" if before is None else "after the re-IPL"
        yield f"the system did not tell how it was {when}"
        return
    yield from _not_the_next_boot(before, after)
    yield from _not_as_before(before, after)
    if configured and after.actions != before.actions:
        were, are = ", ".join(before.actions) or "none", ", ".join(after.actions) or "none"
        yield f"the shutdown actions were {were}; after the boot they are {are}"


def _not_the_next_boot(before: Condition, after: Condition) -> Iterator[str]:
    if after.boot == before.boot:
        yield f"the system was not loaded again: its boot id is {after.boot}, as before"
    if after.count != before.count + 1:
        yield f"the count on the system's disk went from {before.count} to {after.count}"
    if before.boot in before.journal and after.journal[-2:] != (before.boot, after.boot):
        known = ", ".join(after.journal[-2:]) or "none"
        yield (
            f"the journal does not say that boot {before.boot} came before {after.boot}: the last "
            f"that it knows are {known}"
        )


def _not_as_before(before: Condition, after: Condition) -> Iterator[str]:
    if after.state not in (UP, before.state):
        was = before.state
        yield f"systemd says that the system is {after.state}; before the crash it was {was}"
    for unit in sorted(set(after.failed) - set(before.failed)):
        yield f"unit {unit} has failed"
    if _writable(before) and not _writable(after):
        how = after.root or "unknown"
        yield f"the root file system cannot be written to: its options are {how}"
    for line in after.kernel:
        if _DAMAGE.search(line):
            yield f"the kernel says of a file system: {line}"


def _writable(condition: Condition) -> bool:
    return "rw" in condition.root.split(",")
