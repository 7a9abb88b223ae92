"""Programs of the host, and the packages that contain them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from harness.errors import HostError

PACKAGES = {  # Debian package of each tool, where the names differ
    "apt-get": "apt",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "gcc": "gcc libc6-dev",
    "mke2fs": "e2fsprogs",
    "s390x-linux-gnu-gcc": "gcc-s390x-linux-gnu",
    "setpriv": "util-linux",
    "sfdisk": "fdisk",
    "xz": "xz-utils",
}


_SUPER_USER_DIRS = "/usr/sbin:/sbin"  # where Debian keeps sfdisk and mke2fs


def find_tool(name: str) -> str:
    """Path of a tool; raises HostError, which names the package of the tool."""
    require_tools((name,))
    found = _which(name)
    assert found is not None
    return found


def require_tools(names: Iterable[str]) -> None:
    """Raises one HostError that names all missing tools and their packages."""
    missing = [name for name in names if _which(name) is None]
    if missing:
        verb = "are" if len(missing) > 1 else "is"
        raise HostError(
            f"{', '.join(missing)} {verb} not installed",
            hint=how_to_get(missing),
        )


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SUPER_USER_DIRS}")


def how_to_get(tools: Iterable[str]) -> str:
    """What to do about missing tools, with Debian's names of their packages."""
    packages = " ".join(sorted({PACKAGES.get(tool, tool) for tool in tools}))
    if _which("apt-get") is None:
        return f"install what Debian has as {packages}, or use a container: docs/hosts.md"
    return f"apt-get install {packages}"
