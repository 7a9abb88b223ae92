"""The distribution's kernel source, unpacked once."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from harness.build.command import Tools, find_tool
from harness.build.packages import download
from harness.build.store import Built, Store
from harness.errors import HostError
from harness.progress import Progress

KIND = "linux-tree"
_NAME = re.compile(r"linux-source-(\d+)\.(\d+)")


def source_tree(store: Store, progress: Progress) -> Built:
    """The newest ``linux-source-X.Y`` that apt offered; its ``tree`` is the unpacked source.

    Like a package set it is fetched once and then pinned: a newer one is taken when this one is
    removed from the store. Raises HostError if apt offers none.
    """
    pinned = [image for image in store.images() if image.kind == KIND]
    if pinned:
        return pinned[-1]
    name = _newest()

    def build(directory: Path, log: Path) -> dict[str, Any]:
        tools = Tools(log, KIND)
        with progress.task(f"fetch and unpack {name}"):
            (deb,) = download([name], directory / "debs", tools, _host_architecture())
            tools.run(["dpkg-deb", "-x", str(deb), str(directory / "package")])
            (archive,) = (directory / "package" / "usr" / "src").glob("linux-source-*.tar.xz")
            tree = directory / "tree"
            tree.mkdir()
            tools.run(["tar", "-x", "-C", str(tree), "--strip-components=1", "-f", str(archive)])
            tools.run(["rm", "-r", str(directory / "debs"), str(directory / "package")])
        return {"package": name, "file": deb.name}

    return store.get(KIND, {"package": name}, build)


def _newest() -> str:
    find_tool("apt-cache")
    names = subprocess.run(
        ["apt-cache", "pkgnames", "linux-source-"], capture_output=True, text=True, check=False
    ).stdout.split()
    versions = [
        (int(match[1]), int(match[2]), name) for name in names if (match := _NAME.fullmatch(name))
    ]
    if not versions:
        raise HostError(
            "apt on this host offers no linux-source package to build kernels from",
            hint="apt-get update, or give kernels by path: --kernel and --dump-kernel",
        )
    return max(versions)[2]


def _host_architecture() -> str:
    return subprocess.run(
        [find_tool("dpkg"), "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
