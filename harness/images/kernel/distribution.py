"""The kernel of a Debian suite as the distribution built it: its image, without its modules."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.images.command import Tools
from harness.images.debian.apt import Apt, private_apt
from harness.images.debian.packages import ARCHITECTURE, describe
from harness.images.kernel import image as kernel_image
from harness.images.kernel.build import CONFIG, IMAGE, Kernel, kernel_from_store
from harness.images.store import Store
from harness.progress import Progress

KIND = "kernel-debian"
SUITE = "bookworm"
_NAME = re.compile(r"debian(?:@([a-z][a-z0-9-]{0,31}))?")
_META = f"linux-image-{ARCHITECTURE}"  # depends on the suite's kernel
_PACKAGE = re.compile(rf"linux-image-\d\S*-{ARCHITECTURE}")


def suite_of(name: str) -> str | None:
    """The suite of ``debian`` or ``debian@SUITE``; None for anything else."""
    match = _NAME.fullmatch(name)
    return match and (match[1] or SUITE)


def debian_kernel(store: Store, progress: Progress, suite: str) -> Kernel:
    """The kernel of a suite. It is fetched once, and then pinned until it is removed.

    Raises HostError if it cannot be fetched, UsageError if there is no such suite.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        with private_apt() as apt, progress.task(f"fetch the kernel of Debian {suite}"):
            return _fetch(apt, suite, directory, log)

    inputs = {"package": _META, "suite": suite, "architecture": ARCHITECTURE}
    return kernel_from_store(store.get(KIND, inputs, build))


def _fetch(apt: Apt, suite: str, directory: Path, log: Path) -> dict[str, Any]:
    needed = apt.resolve((_META,), ARCHITECTURE, suite).names
    names = [name for name in needed if _PACKAGE.fullmatch(name)]
    if len(names) != 1:
        what = ", ".join(names) or "none"
        raise HostError(f"package {_META} of Debian's suite {suite} needs one kernel, not: {what}")
    debs, tree = directory / "debs", directory / "package"
    (deb,) = apt.download(names, debs, ARCHITECTURE, suite)
    Tools(log, KIND).run(["dpkg-deb", "-x", str(deb), str(tree)])
    shutil.move(_only(tree, "vmlinuz-*"), directory / IMAGE)
    shutil.move(_only(tree, "config-*"), directory / CONFIG)
    package = describe(deb)
    shutil.rmtree(debs)
    shutil.rmtree(tree)
    release = kernel_image.release(kernel_image.check(directory / IMAGE))
    return {"release": release, "source": f"Debian {suite}", "package": package}


def _only(tree: Path, pattern: str) -> Path:
    found = list((tree / "boot").glob(pattern))
    if len(found) != 1:
        raise HostError(f"Debian's kernel package has {len(found)} files {pattern}, not one")
    return found[0]
