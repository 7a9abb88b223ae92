"""The vmlinux of Debian's kernel, from its package of debug symbols.

The package has some hundred megabytes, most of them for modules. Only vmlinux is kept.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from harness.errors import BuildError
from harness.host.child import dying_with_us
from harness.host.tools import find_tool
from harness.images.debian.apt import Apt, private_apt
from harness.images.debian.kernel import DebianKernel
from harness.images.debian.packages import ARCHITECTURE, describe
from harness.images.store import Store
from harness.progress import Progress

KIND = "debug-symbols"
VMLINUX = "vmlinux"


def debug_vmlinux(
    store: Store, progress: Progress, kernel: DebianKernel, apt: Apt | None = None
) -> Path:
    """The vmlinux of ``kernel``; ``apt`` fetches its package if it is given.

    Raises HostError if the suite has no debug symbols of this very version.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        if apt is not None:
            return fetch(apt, directory)
        with private_apt() as own:
            return fetch(own, directory)

    def fetch(apt: Apt, directory: Path) -> dict[str, Any]:
        name, debs = kernel.debug_symbols, directory / "debs"
        size = kernel.require(apt, (name,))
        with progress.task(f"fetch the debug symbols of kernel {kernel.release}, {_mb(size)}"):
            (deb,) = apt.download(kernel.pinned(name), debs, ARCHITECTURE, kernel.suite)
        with progress.task(f"unpack the vmlinux of kernel {kernel.release}"):
            facts = {"package": describe(deb)}
            _copy_from(deb, f"usr/lib/debug/boot/vmlinux-{kernel.release}", directory / VMLINUX)
            shutil.rmtree(debs)
        return facts

    inputs = {"package": kernel.debug_symbols, "version": kernel.version}
    return store.get(KIND, inputs, build).path / VMLINUX


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _copy_from(deb: Path, name: str, target: Path) -> None:
    """Copy one file of a package; raises BuildError if it is not there."""
    command = dying_with_us([find_tool("dpkg-deb"), "--fsys-tarfile", str(deb)])
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child,
        tarfile.open(fileobj=child.stdout, mode="r|", bufsize=1 << 20) as archive,
    ):
        try:
            for member in archive:
                if member.name.removeprefix("./") == name and member.isfile():
                    content = archive.extractfile(member)
                    assert content is not None
                    with content, target.open("wb") as file:
                        shutil.copyfileobj(content, file, 1 << 20)
                    return
        except tarfile.TarError as error:
            raise BuildError(f"package {deb.name} cannot be unpacked: {error}") from error
        finally:
            assert child.stdout is not None
            child.stdout.close()  # dpkg-deb ends when nobody reads what it writes
    raise BuildError(f"package {deb.name} has no file /{name}")
