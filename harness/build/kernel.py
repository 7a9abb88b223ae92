"""Kernels: built from the distribution's source, or given by path."""

from __future__ import annotations

import hashlib
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
from harness.build.command import Tools, require_tools
from harness.build.source import source_tree
from harness.build.store import Built, Store, sha256
from harness.build.vmlinux import Vmlinux, vmlinux_of
from harness.errors import BuildError, HostError, UsageError
from harness.paths import data_dir
from harness.progress import Progress

BASE_CONFIG = "zfcpdump_defconfig"
CROSS_COMPILE = "s390x-linux-gnu-"
NEEDED_TOOLS = ("make", "gcc", f"{CROSS_COMPILE}gcc", "bc", "bison", "flex")
# where debug information says the source is: paths of this host would make builds differ
SOURCE_PREFIX = "/linux"

IMAGE, VMLINUX, CONFIG = "bzImage", "vmlinux", "config"
MODULE = "zcrash.ko"

_OBJECT_LINE = re.compile(r"  [A-Z]+ +\S")


class Role(StrEnum):
    """What a kernel is for; each has its fragment in ``images/kernel``."""

    DUMP = "dump"
    CRASHED = "crashed"


# lines that make prints for its objects, for the estimate (Linux 6.12)
OBJECTS = {Role.DUMP: 1260, Role.CRASHED: 1430}


@dataclass(frozen=True)
class Kernel:
    """A bootable image and what is known about it. ``origin`` is for people."""

    image: Path
    release: str
    sha256: str
    origin: str
    config: str | None = None
    vmlinux: Vmlinux | None = None
    module: Path | None = None

    def identity(self) -> dict[str, Any]:
        """JSON: what tells this kernel from others, and where its vmlinux is."""
        return {
            "release": self.release,
            "sha256": self.sha256,
            "origin": self.origin,
            "vmlinux": None if self.vmlinux is None else self.vmlinux.to_json(),
        }

    def require_unchanged(self) -> None:
        """Raises HostError if the image is not what it was when its digest was taken.

        To be called when something was made with it that is kept under that digest.
        """
        try:
            same = sha256(self.image) == self.sha256
        except OSError:
            same = False
        if not same:
            raise HostError(
                f"kernel {self.image} changed while it was used", hint="run again when it is built"
            )


def built_kernel(store: Store, role: Role, progress: Progress) -> Kernel:
    """The harness's own kernel for ``role``; raises BuildError or HostError."""
    tree = source_tree(store, progress)
    images = data_dir() / "images"
    sources = sorted((images / "kernel").glob(f"{role}.*"))
    crashed = role is Role.CRASHED
    if crashed:
        sources += sorted((images / "crash" / "zcrash").iterdir())
    fragment = Template((images / "kernel" / f"{role}.config").read_text())

    def build(directory: Path, log: Path) -> dict[str, Any]:
        objects = directory / "objects"
        objects.mkdir()
        tools = Tools(log, f"the {role} kernel", _environment(store))
        make = _Make(tree.path / "tree", objects, tools)
        make.configure(fragment.substitute(IMAGES=images))
        with progress.task(f"compile the {role} kernel", OBJECTS[role], "objects") as task:
            make.compile(task.update)
            if crashed:
                make.compile_module(images / "crash" / "zcrash")
        facts = make.collect(directory, (VMLINUX, MODULE) if crashed else ())
        shutil.rmtree(objects)
        return facts

    inputs = {
        "source": tree.manifest["file"],
        "base": BASE_CONFIG,
        "configuration": {path.name: path.read_text() for path in sources},
    }
    image = store.get(f"kernel-{role}", inputs, build)
    return _from_store(image)


def foreign_kernel(image: Path, vmlinux: Path | None = None) -> Kernel:
    """A kernel given by path.

    Its configuration is the one it carries (CONFIG_IKCONFIG), or one that lies where Debian and
    a build tree put it. Raises UsageError if it is not an s390 kernel image, or if ``vmlinux`` is
    not its own (see ``vmlinux_of``).
    """
    data = kernel_image.check(image)
    release = kernel_image.release(data)
    return Kernel(
        image=image,
        release=release,
        sha256=hashlib.sha256(data).hexdigest(),
        origin=str(image),
        config=kernel_image.embedded_config(data) or _config_beside(image, release),
        vmlinux=None if vmlinux is None else vmlinux_of(data, image, vmlinux),
    )


def require_crash_dump(kernel: Kernel) -> None:
    """Raises UsageError naming the option if ``kernel`` can be shown to be unable to dump.

    Its code is the surer witness; a configuration speaks where that cannot be decompressed.
    """
    able = kernel_image.can_dump(kernel.image.read_bytes())
    if able is None and kernel.config is not None:
        able = "CONFIG_CRASH_DUMP=y" in kernel.config.splitlines()
    if able is False:
        raise UsageError(
            f"kernel {kernel.image} ({kernel.release}) cannot dump: CONFIG_CRASH_DUMP is not set",
            hint="build it with zfcpdump_defconfig, or with CONFIG_CRASH_DUMP=y",
        )


def _config_beside(image: Path, release: str) -> str | None:
    """The s390 configuration that belongs to an image: /boot/config-RELEASE, or a .config."""
    image = image.resolve()
    candidates = [image.parent / f"config-{release}", image.parent / ".config"]
    if image.parts[-4:-1] == ("arch", "s390", "boot"):
        candidates.append(image.parents[3] / ".config")
    for path in candidates:
        if path.is_file() and "CONFIG_S390=y" in (text := path.read_text(errors="replace")):
            return text
    return None


class _Make:
    """One out-of-tree build."""

    def __init__(self, tree: Path, objects: Path, tools: Tools) -> None:
        self._objects, self._tools = objects, tools
        require_tools(NEEDED_TOOLS)
        prefixes = f"-ffile-prefix-map={tree}/= -ffile-prefix-map={objects}={SOURCE_PREFIX}"
        cache = "ccache " if shutil.which("ccache") else ""
        self._make = (
            "make",
            f"-C{tree}",
            f"O={objects}",
            "ARCH=s390",
            f"CROSS_COMPILE={CROSS_COMPILE}",
            f"CC={cache}{CROSS_COMPILE}gcc",
            f"HOSTCC={cache}gcc",
            f"KCFLAGS={prefixes}",
            f"KAFLAGS={prefixes}",
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

        self._tools.run(
            [*self._make, f"-j{len(os.sched_getaffinity(0))}", "bzImage"], on_line=on_line
        )

    def compile_module(self, source: Path) -> None:
        """An external module of one file, into the directory of the objects."""
        shutil.copytree(source, module := self._objects / "module")
        # a kernel without modules of its own writes the list of its symbols under another name
        shutil.copy(self._objects / "vmlinux.symvers", self._objects / "Module.symvers")
        self._tools.run([*self._make, "modules_prepare"])
        self._tools.run([*self._make, f"M={module}", "modules"])
        shutil.move(module / MODULE, self._objects / MODULE)

    def collect(self, directory: Path, more: tuple[str, ...]) -> dict[str, Any]:
        """Move what is kept into the image; returns what the manifest shall say."""
        shutil.move(self._objects / "arch" / "s390" / "boot" / "bzImage", directory / IMAGE)
        shutil.move(self._objects / ".config", directory / CONFIG)
        for name in more:
            shutil.move(self._objects / name, directory / name)
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
    files = image.manifest["files"]
    vmlinux = None
    if VMLINUX in files:
        vmlinux = Vmlinux.at(image.path / VMLINUX, files[VMLINUX]["sha256"])
    return Kernel(
        image=image.path / IMAGE,
        release=image.manifest["release"],
        sha256=files[IMAGE]["sha256"],
        origin=image.name,
        config=(image.path / CONFIG).read_text(),
        vmlinux=vmlinux,
        module=image.path / MODULE if MODULE in files else None,
    )
