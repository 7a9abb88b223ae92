"""Sets of Debian packages that the images are made of.

Each set is from a suite that was tried. So every host has the same packages. Only the suite's main
archive is used, because no guest has a network. A set is fetched once and then pinned: its
versions and digests are in its manifest.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.images.command import Tools
from harness.images.debian.apt import Apt, host_architecture, private_apt
from harness.images.store import Built, Store, sha256
from harness.progress import Progress

ARCHITECTURE = "s390x"
ROOT = "root"  # the unpacked tree within the image


@dataclass(frozen=True)
class PackageSet:
    """Exactly these packages, without what they depend on; ``kind`` is that of the image.

    A ``native`` set is for this host's own architecture: its programs run here.
    """

    kind: str
    suite: str
    names: tuple[str, ...]
    native: bool = False

    @property
    def architecture(self) -> str:
        """Raises HostError if the architecture of a native set is unknown."""
        return host_architecture() if self.native else ARCHITECTURE

    @property
    def inputs(self) -> dict[str, Any]:
        """JSON: what determines the image."""
        return {
            "names": list(self.names),
            "architecture": self.architecture,
            "suite": self.suite,
        }


# Python 3.11 was seen to dump with 32 MiB of memory. Debian 12 has reached its last point release,
# so the content of its main archive does not change any more
USER_SPACE = PackageSet(
    "packages",
    "bookworm",
    (
        "busybox-static",
        "e2fsprogs",
        "libblkid1",
        "libc6",
        "libcom-err2",
        "libexpat1",
        "libext2fs2",
        "libffi8",
        "libpython3.11-minimal",
        "libpython3.11-stdlib",
        "libuuid1",
        "python3.11-minimal",
        "s390-tools",
        "zlib1g",
    ),
)
# the same Python for this host: the images' Python reads its bytecode
PYTHON = PackageSet(
    "packages-python",
    "bookworm",
    ("libc6", "libexpat1", "libpython3.11-minimal", "python3.11-minimal", "zlib1g"),
    native=True,
)
# mkfs of file systems that e2fsprogs does not make, and its libraries
FILE_SYSTEMS = PackageSet(
    "packages-file-systems",
    "bookworm",
    ("btrfs-progs", "libinih1", "libudev1", "liburcu8", "xfsprogs"),
)
JUDGE = PackageSet("packages-judge", "bookworm", ("libfuse2",))
_NEWER_JUDGE = (
    "libatomic1",
    "libc6",
    "libfuse3-4",
    "libglib2.0-0t64",
    "libpcre2-8-0",
    "libssl3t64",
    "libzstd1",
    "s390-tools",
    "zlib1g",
)
# crash and the libraries it is linked with, in trixie and later. crash 8.0.2 of Debian 12 does not
# open a dump of Linux 6.12, and in one of 6.1.176 it finds 3 of 34 tasks. 9.0.2 of forky reads both
_CRASH = (
    "crash",
    "libc6",
    "libgcc-s1",
    "libgmp10",
    "liblzo2-2",
    "libmpfr6",
    "libncursesw6",
    "libsnappy1v5",
    "libstdc++6",
    "libtinfo6",
    "libzstd1",
)
_CRASH_SUITE = "forky"
FOR_ALL_IMAGES = (USER_SPACE, PYTHON)


def zipl_set(suite: str) -> PackageSet:
    """What a suite's zipl needs: s390-tools, and a libc.

    That libc is the suite's own, as its cross compilers have it: unlike libc6 it is not replaced
    by a point release, so a mirror that is being updated has it, too.
    """
    return PackageSet("packages-zipl", suite, ("libc6-s390x-cross", "s390-tools"))


def judge_set(suite: str | None) -> PackageSet:
    """The packages that only zgetdump needs: of the images' suite, or of trixie or a later one."""
    return JUDGE if suite is None else PackageSet("packages-judge", suite, _NEWER_JUDGE)


def crash_set(suite: str | None) -> PackageSet:
    """The packages of the crash utility: of the suite whose crash was tried, or of another one."""
    return PackageSet("packages-crash", suite or _CRASH_SUITE, _CRASH)


def unpacked(store: Store, progress: Progress, wanted: PackageSet, apt: Apt | None = None) -> Built:
    """The packages of a set, unpacked below ``root``; ``apt`` fetches them if it is given.

    Raises HostError if they cannot be fetched.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        if apt is not None:
            return fetch(apt, directory, log)
        with private_apt() as own:
            return fetch(own, directory, log)

    def fetch(apt: Apt, directory: Path, log: Path) -> dict[str, Any]:
        count, architecture = len(wanted.names), wanted.architecture
        with progress.task(f"fetch {count} {architecture} packages", count, "packages"):
            debs = apt.download(wanted.names, directory / "debs", architecture, wanted.suite)
            root = directory / ROOT
            root.mkdir()
            tools = Tools(log, wanted.kind)
            for deb in debs:
                tools.run(["dpkg-deb", "-x", str(deb), str(root)])
            facts = {"packages": [describe(deb) for deb in debs]}
            shutil.rmtree(directory / "debs")
            return facts

    return store.get(wanted.kind, wanted.inputs, build)


def is_unpacked(store: Store, wanted: PackageSet) -> bool:
    """Whether the store has a set already."""
    return store.has(wanted.kind, wanted.inputs)


def describe(deb: Path) -> dict[str, str]:
    """Name, version and SHA-256 of a package."""
    fields = subprocess.run(
        ["dpkg-deb", "-f", str(deb), "Package", "Version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    values = dict(line.split(": ", 1) for line in fields.splitlines())
    return {"name": values["Package"], "version": values["Version"], "sha256": sha256(deb)}
