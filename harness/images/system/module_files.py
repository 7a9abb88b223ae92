"""The modules of a full system's own kernel, as files: what a dump has is compared with them."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import BuildError
from harness.images.store import Store
from harness.images.system.deb import Deb
from harness.images.system.packages import SystemPackages, deb_files, system_packages
from harness.progress import Progress

KIND = "modules-system"
MODULES = "modules"
_SUFFIXES = (".ko", ".ko.xz")
_CHUNK = 1 << 20


def module_files(store: Store, progress: Progress, wanted: SystemPackages, release: str) -> Path:
    """A folder with all modules of the kernel ``release`` of that system.

    Raises BuildError if its packages do not have that kernel.
    """
    packages = system_packages(store, progress, wanted)
    name = f"linux-image-{release}"
    found = [each for each in packages.manifest["packages"] if each["name"] == name]
    if not found:
        raise BuildError(f"the packages of the system have no {name}")

    def build(directory: Path, log: Path) -> dict[str, Any]:
        (deb,) = [path for path in deb_files(packages) if path.name.startswith(f"{name}_")]
        with progress.task(f"unpack the modules of kernel {release}"):
            return {"modules": _unpack(deb, directory / MODULES)}

    return store.get(KIND, {"package": found[0]}, build).path / MODULES


def _unpack(deb: Path, into: Path) -> int:
    """All modules of a package, without their folders; returns how many."""
    into.mkdir()
    count = 0
    with Deb.read(deb).files() as members:
        for member, data in members:
            name = PurePosixPath(member.name).name
            if data is None or not name.endswith(_SUFFIXES):
                continue
            with (into / name).open("xb") as file:
                shutil.copyfileobj(data, file, _CHUNK)
            count += 1
    if not count:
        raise BuildError(f"package {deb.name} has no modules")
    return count
