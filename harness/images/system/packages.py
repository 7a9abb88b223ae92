"""The packages of a full Debian: what every system has, and all that they depend on.

A set is resolved and fetched once, and then pinned: versions and digests are in its manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.images.debian.apt import Apt, private_apt
from harness.images.debian.packages import ARCHITECTURE, describe
from harness.images.store import Built, Store
from harness.progress import Progress

KIND = "packages-system"
DEBS = "debs"
ESSENTIAL = "?essential"  # apt-patterns(7)
KERNEL = "linux-image-s390x"  # depends on the suite's kernel
BASE = (
    *(ESSENTIAL, "usr-is-merged"),
    *("systemd", "systemd-sysv", "udev", "dbus", "openssh-server"),
    *("s390-tools", "kmod", "iproute2", "python3-minimal", "procps", "stress", "sg3-utils"),
    *("initramfs-tools", "zstd", "e2fsprogs", KERNEL),
)
_SECONDS_EACH = 1.2  # to unpack and configure a package, and its share of the rest


@dataclass(frozen=True)
class SystemPackages:
    """``extra`` packages come on top of ``BASE``."""

    suite: str
    extra: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What apt is asked for."""
        return tuple(dict.fromkeys((*BASE, *sorted(self.extra))))

    @property
    def inputs(self) -> dict[str, Any]:
        """JSON: what determines the image."""
        return {"suite": self.suite, "names": list(self.names), "architecture": ARCHITECTURE}


def system_packages(
    store: Store, progress: Progress, wanted: SystemPackages, apt: Apt | None = None
) -> Built:
    """The ``.deb`` files in ``debs``; ``apt`` fetches them if it is given.

    Raises UsageError for a package that does not exist, HostError if one cannot be fetched.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        if apt is not None:
            return fetch(apt, directory)
        with private_apt() as own:
            return fetch(own, directory)

    def fetch(apt: Apt, directory: Path) -> dict[str, Any]:
        with progress.task(f"resolve the packages of a full Debian {wanted.suite}"):
            found = apt.resolve(wanted.names, ARCHITECTURE, wanted.suite)
        count, installed = len(found.names), found.installed_bytes / 1e9
        with progress.task(
            f"a full Debian {wanted.suite}: {count} packages, {found.bytes / 1e6:.0f} MB to fetch, "
            f"about {_minutes(count)} minutes on an idle host, {2 * installed:.1f} GB of disk"
        ):
            pass
        what = f"fetch {count} {ARCHITECTURE} packages ({found.bytes / 1e6:.0f} MB)"
        with progress.task(what, count, "packages") as task:
            debs = apt.download(
                found.names, directory / DEBS, ARCHITECTURE, wanted.suite, task.update
            )
        return {
            "packages": [describe(deb) for deb in debs],
            "installed bytes": found.installed_bytes,
        }

    return store.get(KIND, wanted.inputs, build)


def _minutes(count: int) -> int:
    return max(2, round(count * _SECONDS_EACH / 60))


def has_packages(store: Store, wanted: SystemPackages) -> bool:
    """Whether the store has a set already."""
    return store.has(KIND, wanted.inputs)


def deb_files(packages: Built) -> list[Path]:
    """The files of a set, by name."""
    return sorted((packages.path / DEBS).glob("*.deb"))
