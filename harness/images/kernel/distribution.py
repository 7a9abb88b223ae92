"""The kernel of a Debian suite as the distribution built it: its image, without its modules."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from harness.errors import HostError, UsageError
from harness.images.command import Tools
from harness.images.debian.apt import Apt, private_apt
from harness.images.debian.packages import ARCHITECTURE, describe
from harness.images.kernel import image as kernel_image
from harness.images.kernel.build import CONFIG, IMAGE, Kernel, kernel_from_store, kind_of
from harness.images.kernel.spec import Role
from harness.images.store import Store
from harness.progress import Progress

KIND = "kernel-debian"
# of all kernels in the store
KINDS = frozenset({KIND, *map(kind_of, Role)})
_META = f"linux-image-{ARCHITECTURE}"  # depends on the suite's kernel
_PACKAGE = re.compile(rf"linux-image-\d\S*-{ARCHITECTURE}")


def debian_kernel(store: Store, progress: Progress, suite: str, apt: Apt | None = None) -> Kernel:
    """The kernel of a suite; ``apt`` fetches it if it is given. It is pinned until it is removed.

    Raises HostError if it cannot be fetched or is no s390 kernel, UsageError if there is no such
    suite.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        with progress.task(f"fetch the kernel of Debian {suite}"):
            if apt is not None:
                return _fetch(apt, suite, directory, log)
            with private_apt() as own:
                return _fetch(own, suite, directory, log)

    return kernel_from_store(store.get(KIND, _inputs(suite), build))


def has_debian_kernel(store: Store, suite: str) -> bool:
    """Whether the store has it already."""
    return store.has(KIND, _inputs(suite))


def _inputs(suite: str) -> dict[str, Any]:
    return {"package": _META, "suite": suite, "architecture": ARCHITECTURE}


def package_name(apt: Apt, suite: str) -> str:
    """The one package with the suite's kernel; HostError if the mirror has none, or several."""
    apt.find((_META,), ARCHITECTURE, suite)
    needed = apt.resolve((_META,), ARCHITECTURE, suite).names
    names = [name for name in needed if _PACKAGE.fullmatch(name)]
    if len(names) != 1:
        what = ", ".join(names) or "none"
        raise HostError(f"package {_META} of Debian's suite {suite} needs one kernel, not: {what}")
    return names[0]


def _fetch(apt: Apt, suite: str, directory: Path, log: Path) -> dict[str, Any]:
    name = package_name(apt, suite)
    debs, tree = directory / "debs", directory / "package"
    (deb,) = apt.download((name,), debs, ARCHITECTURE, suite)
    Tools(log, KIND).run(["dpkg-deb", "-x", str(deb), str(tree)])
    shutil.move(_only(tree, "vmlinuz-*"), directory / IMAGE)
    shutil.move(_only(tree, "config-*"), directory / CONFIG)
    package = describe(deb)
    shutil.rmtree(debs)
    shutil.rmtree(tree)
    try:
        release = kernel_image.release(kernel_image.check(directory / IMAGE))
    except UsageError as error:  # it is not the user's
        raise HostError(f"package {deb.name}: {error.message}") from error
    return {"release": release, "source": f"Debian {suite}", "package": package}


def _only(tree: Path, pattern: str) -> Path:
    found = list((tree / "boot").glob(pattern))
    if len(found) != 1:
        raise HostError(f"Debian's kernel package has {len(found)} files {pattern}, not one")
    return found[0]
