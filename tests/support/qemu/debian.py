"""The QEMU of another Debian suite, with everything that it needs to run on this host.

Nothing is installed. Its own loader starts it with its own libraries, modules and firmware.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.images.command import Tools
from harness.images.debian.apt import host_architecture, private_apt
from harness.images.debian.packages import ROOT, describe
from harness.images.store import Store
from harness.progress import Progress

PACKAGE = "qemu-system-s390x"  # since Debian 13; before, it was part of qemu-system-misc
PROGRAM = "qemu-system-s390x"
_KIND = "qemu"
_LOADERS = "usr/lib/*-linux-gnu*/ld*.so.?"  # such as ld-linux-x86-64.so.2, ld64.so.1

# the script has the packages' names, so its digest is different for each QEMU
_WRAPPER = """#!/bin/sh
{packages}
root=${{0%/*}}/{root}
export QEMU_MODULE_DIR="$root/{libraries}/qemu"  # or it finds those of the host's own QEMU
exec "$root/{loader}" --library-path "$root/{libraries}" --argv0 "$0" \\
    "$root/usr/bin/{program}" -L "$root/usr/share/qemu" "$@"
"""


def debian_qemu(store: Store, progress: Progress, suite: str) -> Path:
    """The program, for ZHARNESS_QEMU. It is fetched once and then pinned like a package set.

    Raises HostError if it cannot be fetched.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        architecture, tools = host_architecture(), Tools(log, PACKAGE)
        root, debs = directory / ROOT, directory / "debs"
        root.mkdir()
        with private_apt() as apt, progress.task(f"fetch QEMU of Debian's suite {suite}"):
            names = apt.with_dependencies(PACKAGE, architecture, suite)
            packages = apt.download(names, debs, architecture, suite)
        for deb in packages:
            tools.run(["dpkg-deb", "-x", str(deb), str(root)])
        described = [describe(deb) for deb in packages]
        shutil.rmtree(debs)
        wrapper = directory / PROGRAM
        wrapper.write_text(_wrapper(root, described))
        wrapper.chmod(0o755)
        return {"packages": described}

    inputs = {"package": PACKAGE, "architecture": host_architecture(), "suite": suite}
    return store.get(_KIND, inputs, build).path / PROGRAM


def _wrapper(root: Path, packages: list[dict[str, str]]) -> str:
    loader = next(iter(sorted(root.glob(_LOADERS))), None)
    if loader is None:
        raise HostError(f"the packages of {PACKAGE} hold no loader {_LOADERS}")
    return _WRAPPER.format(
        packages="\n".join(f"# {each['name']} {each['version']}" for each in packages),
        root=ROOT,
        loader=loader.relative_to(root),
        libraries=loader.parent.relative_to(root),
        program=PROGRAM,
    )
