"""What control groups allow this process, in a container for example (cgroup v2, cgroups(7))."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OWN = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def memory_left(*, own: Path = _OWN, root: Path = _ROOT) -> int | None:
    """Bytes that the process's groups may still take; None if none has a limit.

    memory.max and memory.current, without what the kernel can give back (memory.stat).
    """
    return min(_left(own, root), default=None)


def cpus(*, own: Path = _OWN, root: Path = _ROOT) -> int | None:
    """How many CPUs' time the groups may take, at least 1 (cpu.max); None without a limit."""
    found = []
    for group in _groups(own, root):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            found.append(max(1, int(quota) // int(period)))
    return min(found, default=None)


def _left(own: Path, root: Path) -> Iterator[int]:
    for group in _groups(own, root):
        limit, used = _read(group / "memory.max"), _read(group / "memory.current")
        if not limit.isdecimal() or not used.isdecimal():
            continue
        stat = dict(
            line.split(" ", 1) for line in _read(group / "memory.stat").splitlines() if " " in line
        )
        given_back = int(stat.get("inactive_file", "0"))
        yield max(0, int(limit) - max(0, int(used) - given_back))


def _groups(own: Path, root: Path) -> Iterator[Path]:
    """The process's group, and those around it."""
    for line in _read(own).splitlines():
        if line.startswith("0::/"):
            group = root / line.removeprefix("0::/")
            while group.is_relative_to(root):
                yield group
                group = group.parent


def _read(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="ascii").strip()
    return ""
