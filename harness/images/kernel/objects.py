"""The objects of a compiled kernel, with which a kernel that differs a little begins.

kbuild finds what must be compiled again. It compares the times of files, so an archive keeps these.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.host.tools import require_tools
from harness.images.kernel.make import COMPILE, CROSS_COMPILE, Make, compiler
from harness.images.kernel.source import Source
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.store import Store

_ARCHIVE = "objects.tar"
_TOOLS = (f"{CROSS_COMPILE}gcc", f"{CROSS_COMPILE}as")


def base_of(spec: KernelSpec, source: Source) -> KernelSpec | None:
    """The kernel with whose objects ``spec`` begins; it may be ``spec`` itself.

    Those of a dump kernel take 58 MB. Those with debug information would take a gigabyte. The files
    of a commit are as new as their tree, so all would be compiled again.
    """
    if spec.role.crashes or source.commit is not None:
        return None
    return KernelSpec(spec.role, spec.source)


def keep(store: Store, role: Role, kernel: Mapping[str, Any], make: Make) -> None:
    """Keep the objects of the ``kernel`` (its inputs) that was compiled; raises HostError."""

    def build(directory: Path, log: Path) -> dict[str, Any]:
        make.keep(directory / _ARCHIVE)
        return {}

    store.get(_kind(role), _inputs(kernel), build)


def kept(store: Store, role: Role, kernel: Mapping[str, Any], before: float) -> Path | None:
    """The archive of the objects of ``kernel``, if there is a good one.

    It must be older than ``before``, in seconds since the epoch. A file that is patched from then
    on is newer than its object, unless the clock of the host was set back.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        raise HostError("the objects are gone, or damaged")

    with suppress(HostError):
        inputs = _inputs(kernel)
        if store.has(_kind(role), inputs):
            archive = store.get(_kind(role), inputs, build).path / _ARCHIVE
            if archive.stat().st_mtime < before:
                return archive
    return None


def _kind(role: Role) -> str:
    return f"objects-{role}"


def _inputs(kernel: Mapping[str, Any]) -> dict[str, Any]:
    """JSON: the archive has programs of kbuild for this host, too."""
    require_tools(_TOOLS)
    assembler = subprocess.run(
        [f"{CROSS_COMPILE}as", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return {
        "kernel": dict(kernel),
        "compiler": compiler(),
        "assembler": assembler.partition("\n")[0],
        "host": [platform.machine(), *platform.libc_ver()],
        "compiled by": COMPILE.read_text(),
    }
