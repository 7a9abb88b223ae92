"""Kernels: built from the distribution's source, or given by path."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Any

from harness.build import kernel_image
from harness.build.command import Tools, find_tool
from harness.build.source import source_tree
from harness.build.store import Built, Store, sha256
from harness.errors import BuildError, UsageError
from harness.paths import data_dir
from harness.progress import Progress

BASE_CONFIG = "zfcpdump_defconfig"
CROSS_COMPILE = "s390x-linux-gnu-"
MAKE_LINES = 1450  # what a build prints for its objects, for the estimate

IMAGE, VMLINUX, SYSTEM_MAP, CONFIG = "bzImage", "vmlinux", "System.map", "config"

_OBJECT_LINE = re.compile(r"  [A-Z]+ +\S")


class Role(StrEnum):
    """What a kernel is for; each has its fragment in ``images/kernel``."""

    DUMP = "dump"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Kernel:
    """A bootable image and what is known about it. ``origin`` is for people."""

    image: Path
    release: str
    sha256: str
    origin: str
    config: str | None = None
    vmlinux: Path | None = None
    system_map: Path | None = None


def built_kernel(store: Store, role: Role, progress: Progress) -> Kernel:
    """The harness's own kernel for ``role``; raises BuildError or HostError."""
    tree = source_tree(store, progress)
    images = data_dir() / "images"
    sources = sorted((images / "kernel").glob(f"{role}.*"))
    fragment = Template((images / "kernel" / f"{role}.config").read_text())

    def build(directory: Path, log: Path) -> dict[str, Any]:
        # a fixed place, so that ccache knows the objects again
        objects = store.root / ".objects" / str(role)
        shutil.rmtree(objects, ignore_errors=True)
        objects.mkdir(parents=True)
        try:
            make = _Make(
                tree.path / "tree", objects, Tools(log, f"the {role} kernel", _environment(store))
            )
            make.configure(fragment.substitute(IMAGES=images))
            with progress.task(f"compile the {role} kernel", MAKE_LINES, "objects") as task:
                make.compile(task.update)
            return make.collect(directory, with_vmlinux=role is Role.CRASHED)
        finally:
            shutil.rmtree(objects, ignore_errors=True)

    inputs = {
        "source": tree.manifest["file"],
        "base": BASE_CONFIG,
        "configuration": {path.name: path.read_text() for path in sources},
    }
    image = store.get(f"kernel-{role}", inputs, build)
    return _from_store(image)


def foreign_kernel(image: Path, vmlinux: Path | None = None) -> Kernel:
    """A kernel given by path; raises UsageError if it is not an s390 kernel image."""
    data = kernel_image.check(image)
    if vmlinux is not None and not vmlinux.is_file():
        raise UsageError(f"vmlinux {vmlinux}: no such file")
    return Kernel(
        image=image,
        release=kernel_image.release(data),
        sha256=sha256(image),
        origin=str(image),
        config=kernel_image.embedded_config(data),
        vmlinux=vmlinux,
    )


def require_crash_dump(kernel: Kernel) -> None:
    """Raises UsageError naming the option if ``kernel`` can be shown to be unable to dump."""
    if kernel.config is not None:
        able: bool | None = "CONFIG_CRASH_DUMP=y" in kernel.config.splitlines()
    else:
        able = kernel_image.can_dump(kernel.image.read_bytes())
    if able is False:
        raise UsageError(
            f"kernel {kernel.image} ({kernel.release}) cannot dump: CONFIG_CRASH_DUMP is not set",
            hint="build it with zfcpdump_defconfig, or with CONFIG_CRASH_DUMP=y",
        )


class _Make:
    """One out-of-tree build."""

    def __init__(self, tree: Path, objects: Path, tools: Tools) -> None:
        self._objects, self._tools = objects, tools
        for tool in ("make", "gcc", f"{CROSS_COMPILE}gcc", "bc", "bison", "flex"):
            find_tool(tool)
        cache = "ccache " if shutil.which("ccache") else ""
        self._make = (
            "make",
            f"-C{tree}",
            f"O={objects}",
            "ARCH=s390",
            f"CROSS_COMPILE={CROSS_COMPILE}",
            f"CC={cache}{CROSS_COMPILE}gcc",
            f"HOSTCC={cache}gcc",
            f"KCFLAGS=-ffile-prefix-map={tree}/=",
        )

    def configure(self, fragment: str) -> None:
        """Base configuration and fragment; raises BuildError for a line that does not hold."""
        self._tools.run([*self._make, BASE_CONFIG])
        config = self._objects / ".config"
        with config.open("a") as file:
            file.write(fragment)
        self._tools.run([*self._make, "olddefconfig"])
        lost = _lost(fragment, config.read_text())
        if lost:
            raise BuildError(
                f"{self._tools.what}: '{lost[0]}' does not hold in its final configuration",
                hint="another option it depends on is missing, or it has a new name",
            )

    def compile(self, progress: Callable[[float], None]) -> None:
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            if _OBJECT_LINE.match(line):
                done += 1
                progress(done)

        self._tools.run([*self._make, f"-j{os.cpu_count()}", "bzImage"], on_line=on_line)

    def collect(self, directory: Path, *, with_vmlinux: bool) -> dict[str, Any]:
        """Move what is kept into the image; returns what the manifest shall say."""
        shutil.move(self._objects / "arch" / "s390" / "boot" / "bzImage", directory / IMAGE)
        shutil.move(self._objects / "System.map", directory / SYSTEM_MAP)
        shutil.move(self._objects / ".config", directory / CONFIG)
        if with_vmlinux:
            shutil.move(self._objects / "vmlinux", directory / VMLINUX)
        data = (directory / IMAGE).read_bytes()
        return {"release": kernel_image.release(data), "compiler": _compiler()}


def _environment(store: Store) -> dict[str, str]:
    """Reproducible, and sharing objects between builds wherever they took place."""
    return {
        "CCACHE_BASEDIR": str(store.root),
        "CCACHE_DIR": os.environ.get("CCACHE_DIR", str(store.root / ".ccache")),
        "CCACHE_NOHASHDIR": "1",
        "KBUILD_BUILD_HOST": "zharness",
        "KBUILD_BUILD_TIMESTAMP": "@0",
        "KBUILD_BUILD_USER": "zharness",
    }


def _compiler() -> str:
    return subprocess.run(
        [f"{CROSS_COMPILE}gcc", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def _lost(fragment: str, config: str) -> list[str]:
    """Lines of the fragment that are not true in the final configuration."""
    present = set(config.splitlines())
    lost = []
    for line in fragment.splitlines():
        unset = re.fullmatch(r"# (CONFIG_\w+) is not set", line)
        if unset:
            if any(other.startswith(f"{unset[1]}=") for other in present):
                lost.append(line)
        elif line.startswith("CONFIG_") and line not in present:
            lost.append(line)
    return lost


def _from_store(image: Built) -> Kernel:
    def optional(name: str) -> Path | None:
        path = image.path / name
        return path if path.exists() else None

    return Kernel(
        image=image.path / IMAGE,
        release=image.manifest["release"],
        sha256=image.manifest["files"][IMAGE]["sha256"],
        origin=image.name,
        config=(image.path / CONFIG).read_text(),
        vmlinux=optional(VMLINUX),
        system_map=optional(SYSTEM_MAP),
    )
