"""Our module for Debian's kernel: compiled on this host, against the suite's own headers.

The suite's headers have the kernel's configuration and the versions of all symbols, so the kernel
takes the module as one of its own. The programs of kbuild are the suite's, too, but for this host;
they run with the suite's own loader and C library, so the host's do not matter.

Reference: ``Documentation/kbuild/modules.rst``; Debian's ``linux-headers`` and ``linux-kbuild``
packages of Linux 6.1 and 6.12.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BuildError, HostError
from harness.host.paths import data_dir
from harness.host.tools import find_tool, require_tools
from harness.images.command import Tools
from harness.images.debian.apt import Apt, host_architecture, private_apt
from harness.images.debian.kernel import DebianKernel, kbuild_of
from harness.images.debian.packages import ARCHITECTURE, describe
from harness.images.kernel.make import CROSS_COMPILE, compiler, environment
from harness.images.store import Store
from harness.progress import Progress

KIND = "module"
MODULE = "zcrash.ko"
_COMPILER = f"{CROSS_COMPILE}gcc"
_SOURCE = data_dir() / "images" / "crash" / "zcrash"
# kbuild's programs that run for a module; modpost is for each kind of machine another program,
# which Debian calls by a common name
_PROGRAMS = {
    "basic/fixdep": "basic/fixdep",
    "genksyms/genksyms": "genksyms/genksyms",
    "mod/modpost": "mod/modpost.real-msb-64",
}
# what the suite's compiler may have had and this host's has not: option -> what it stands for
_NEWER = {"CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT": "-fmin-function-alignment=8"}  # gcc 14
# type information in BTF needs pahole, and nothing here reads it
_UNSET = ("CONFIG_DEBUG_INFO_BTF_MODULES",)


def module_for(
    store: Store, progress: Progress, kernel: DebianKernel, apt: Apt | None = None
) -> Path:
    """``zcrash.ko`` for ``kernel``; ``apt`` fetches the headers if it is given.

    Raises HostError if the suite has no headers of this very version, or this host no compiler;
    BuildError if the module does not compile.
    """
    require_tools(("make", _COMPILER, "dpkg-deb"))

    def build(directory: Path, log: Path) -> dict[str, Any]:
        work = directory / "work"
        work.mkdir()
        tools = Tools(log, f"the module of kernel {kernel.release}", environment(store.root))
        if apt is not None:
            packages = _fetched(kernel, progress, apt, work, tools)
        else:
            with private_apt() as own:
                packages = _fetched(kernel, progress, own, work, tools)
        with progress.task(f"compile {MODULE} for kernel {kernel.release}"):
            shutil.move(_compiled(kernel, work, tools), directory / MODULE)
        shutil.rmtree(work)
        return {"packages": packages, "compiler": compiler()}

    return store.get(KIND, _inputs(kernel), build).path / MODULE


def _inputs(kernel: DebianKernel) -> dict[str, Any]:
    return {
        "release": kernel.release,
        "version": kernel.version,
        "source": {path.name: path.read_text() for path in sorted(_SOURCE.iterdir())},
    }


def _fetched(
    kernel: DebianKernel, progress: Progress, apt: Apt, work: Path, tools: Tools
) -> list[dict[str, str]]:
    """Unpack headers, kbuild and its C library below ``work/root``; returns what they are."""
    size = kernel.require(apt, kernel.headers)
    with progress.task(f"fetch the headers of kernel {kernel.release}, {size / 1e6:.0f} MB"):
        pinned = kernel.pinned(*kernel.headers)
        headers = apt.download(pinned, work / "headers", ARCHITECTURE, kernel.suite)
        kbuild = _kbuild_of(headers)
        kernel.require(apt, (kbuild,), native=True)
        names = (*kernel.pinned(kbuild), "libc6")
        programs = apt.download(names, work / "programs", host_architecture(), kernel.suite)
        for deb in (*headers, *programs):
            tools.run(["dpkg-deb", "-x", str(deb), str(work / "root")])
    return [describe(deb) for deb in (*headers, *programs)]


def _kbuild_of(headers: list[Path]) -> str:
    for deb in headers:
        depends = subprocess.run(
            [find_tool("dpkg-deb"), "-f", str(deb), "Depends"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        if name := kbuild_of(depends):
            return name
    raise BuildError(f"{headers[0].name} does not say which linux-kbuild it needs")


@dataclass(frozen=True)
class _Loader:
    """The loader of a C library that was unpacked."""

    path: Path

    @classmethod
    def below(cls, root: Path) -> _Loader:
        """Raises BuildError if there is none."""
        for directory in ("lib", "usr/lib"):
            for path in sorted(root.glob(f"{directory}/*/ld*.so.*")):
                if not path.is_symlink():
                    return cls(path)
        raise BuildError("the package libc6 has no loader")

    def wrap(self, program: Path, name: Path) -> None:
        """Make ``name`` a script that runs ``program`` with this C library."""
        moved = program.with_name(f"{program.name}.program")
        program.rename(moved)
        name.unlink(missing_ok=True)
        libraries = self.path.parent
        name.write_text(f'#!/bin/sh\nexec {self.path} --library-path {libraries} {moved} "$@"\n')
        name.chmod(0o755)


def _compiled(kernel: DebianKernel, work: Path, tools: Tools) -> Path:
    root, module = work / "root", work / "module"
    own, common = (root / "usr" / "src" / name for name in kernel.headers)
    scripts, loader = common / "scripts", _Loader.below(root)
    for name, program in _PROGRAMS.items():
        found = scripts / program if (scripts / program).exists() else scripts / name
        loader.wrap(found, scripts / name)
    shutil.copytree(_SOURCE, module)
    tools.run(
        [
            "make",
            f"-C{common}",
            f"O={own}",
            "ARCH=s390",
            f"CROSS_COMPILE={CROSS_COMPILE}",
            f"CC={_COMPILER}",  # the suite's own has the number of a version in its name
            f"KCFLAGS=-ffile-prefix-map={work}/=",
            *(f"{option}=" for option in (*_UNSET, *_not_understood())),
            f"M={module}",
            "modules",
        ]
    )
    return module / MODULE


def _not_understood() -> Iterator[str]:
    """Options of the suite's configuration that this host's compiler cannot obey."""
    for option, flag in _NEWER.items():
        command = [find_tool(_COMPILER), flag, "-E", "-x", "c", os.devnull]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError as error:
            raise HostError(f"cannot run {_COMPILER}: {error.strerror}") from error
        if done.returncode:
            yield option
