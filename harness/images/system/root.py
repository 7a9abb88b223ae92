"""The first stage: all packages of a full Debian, unpacked and configured on a disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import clock
from harness.errors import BuildError, UsageError
from harness.images.command import Tools
from harness.images.debian.packages import describe
from harness.images.disk import DISK
from harness.images.initramfs.build import IMAGE, initramfs
from harness.images.store import Built, Store
from harness.images.system.database import unpack, write_database
from harness.images.system.deb import Deb
from harness.images.system.guest import LIST, Job, SystemGuest, init_script
from harness.images.system.modules import driver_entries
from harness.images.system.packages import SystemPackages, deb_files, system_packages
from harness.images.system.root_disk import make_root_disk, take_out
from harness.images.system.settings import own_files
from harness.images.system.tree import Tree
from harness.progress import Progress

KIND = "system-root"
KERNEL, INITRD, GUEST = "vmlinuz", "initrd.img", "guest.gz"
MIB = 1 << 20
# two minutes on an idle host with two cores; a busy one may take several times as long
_SECONDS, _SECONDS_EACH = 900.0, 10.0
_SETTING_UP = "Setting up "  # dpkg says so for each package (src/main/configure.c)
OWN, _OWN_SHARE = 192 * MIB, 10  # what ext4 and the initramfs take: so many bytes, and a tenth


def system_root(store: Store, progress: Progress, wanted: SystemPackages, size: int) -> Built:
    """A disk of ``size`` bytes with the configured packages: ``disk.img``, sparse.

    It loads nothing yet. ``vmlinuz`` and ``initrd.img`` are the distribution's own; ``guest.gz`` is
    the initramfs of the guest that works on the disk.
    Raises UsageError if the disk is too small, BuildError if a package cannot be configured.
    """
    packages = system_packages(store, progress, wanted)
    _require_room(packages, wanted, size)

    def build(directory: Path, log: Path) -> dict[str, Any]:
        return _Root(store, progress, deb_files(packages), size, directory, log).build()

    inputs = {
        "packages": packages.manifest["packages"],
        "size": size,
        "files": own_files("root"),
        "scripts": [init_script(), Job.CONFIGURE.script],
    }
    return store.get(KIND, inputs, build)


def guest_of(root: Built) -> SystemGuest:
    """The guest that works on copies of the root's disk."""
    return SystemGuest(root.path / KERNEL, root.path / GUEST)


def the_kernel(root: Path) -> tuple[str, Path]:
    """The release of the only kernel in the tree of a system, and its file in ``/boot``.

    From Debian 14 on the package has it beside its modules; it is then copied to ``/boot``, where
    a hook would put it. Raises BuildError unless there is one.
    """
    boot = root / "boot"
    found = {path.name.removeprefix("vmlinuz-"): path for path in boot.glob("vmlinuz-*")}
    beside = {path.parent.name: path for path in (root / "usr/lib/modules").glob("*/vmlinuz")}
    releases = sorted(found.keys() | beside.keys())
    if len(releases) != 1:
        raise BuildError(f"the packages have {len(releases)} kernels, not one")
    (release,) = releases
    place = boot / f"vmlinuz-{release}"
    if not place.exists():
        boot.mkdir(exist_ok=True)
        shutil.copyfile(beside[release], place)
    return release, place


@dataclass
class _Root:
    """One build; ``seconds`` has the time of each step."""

    store: Store
    progress: Progress
    debs: list[Path]
    size: int
    directory: Path
    log: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def build(self) -> dict[str, Any]:
        """Everything; returns what the manifest shall say."""
        disk, tools = self.directory / DISK, Tools(self.log, "a full Debian")
        tree = Tree.create(self.directory / "root")
        with self._step("unpack"):
            self._unpack(tree)
        release = self._make_guest(tree)
        with self._step("file system"), self.progress.task("make the root file system"):
            make_root_disk(disk, self.size, tree.root, tree.special, tools)
        shutil.rmtree(tree.root)
        with self._step("configure"):
            self._configure(disk)
        take_out(disk, f"/boot/initrd.img-{release}", self.directory / INITRD, tools)
        return {
            "packages": [describe(deb) for deb in self.debs],
            "release": release,
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
        }

    def _unpack(self, tree: Tree) -> None:
        count = len(self.debs)
        with self.progress.task(f"unpack {count} packages", count, "packages") as task:
            packages = []
            for number, deb in enumerate(self.debs):
                task.update(number, deb.name.partition("_")[0])
                packages.append(unpack(Deb.read(deb), tree))
            write_database(tree, packages)
            for path, (text, mode) in own_files("root").items():
                tree.write(f"/{path}", text.encode(), mode)

    def _make_guest(self, tree: Tree) -> str:
        """The kernel and the initramfs of the guest; returns the kernel's release."""
        release, kernel = the_kernel(tree.root)
        shutil.copyfile(kernel, self.directory / KERNEL)
        drivers = driver_entries(tree.root / "usr" / "lib" / "modules" / release)
        guest = initramfs(self.store, self.progress, "initramfs-system", (LIST,), more=drivers)
        shutil.copyfile(guest.path / IMAGE, self.directory / GUEST)
        return release

    def _configure(self, disk: Path) -> None:
        count, done = len(self.debs), 0
        what = f"configure {count} packages in a guest (some minutes)"
        with self.progress.task(what, count, "packages") as task:

            def hear(line: str) -> None:
                nonlocal done
                if line.startswith(_SETTING_UP):
                    done += 1
                    task.update(done)

            worker = SystemGuest(self.directory / KERNEL, self.directory / GUEST)
            seconds = _SECONDS + _SECONDS_EACH * count
            worker.run(Job.CONFIGURE, disk, self.log, seconds, on_line=hear)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = clock.now()
        yield
        self.seconds[name] = clock.now() - began


def _require_room(packages: Built, wanted: SystemPackages, size: int) -> None:
    installed = packages.manifest["installed bytes"]
    least = installed + installed // _OWN_SHARE + OWN
    if size < least:
        raise UsageError(
            f"a disk of {size // MIB} MiB is too small for {len(packages.manifest['packages'])} "
            f"packages of {wanted.suite}",
            hint=f"they need {-(-least // MIB)} MiB",
        )
